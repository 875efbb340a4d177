"""The ways in which two replies may be held against each other.

Byte for byte is the rule. Every other way is for a reply that two equally right servers give
differently, and forgives only what the name says.
"""

import re

from wire import encode_command, parse_reply

SCAN_CALLS_AT_MOST = 10_000


def difference(comparison, reference, subject):
    """None when the replies agree, else what differs."""
    if comparison == "":
        return _unless(reference.raw == subject.raw, reference, subject)
    if comparison.startswith("number±"):
        return _compare_numbers(reference, subject, int(comparison.removeprefix("number±")))
    return COMPARISONS[comparison](reference, subject)


def _unless(same, reference, subject, what="other bytes"):
    return None if same else f"{what}\n    redis   {shown(reference)}\n    coterie {shown(subject)}"


def shown(reply, limit=300):
    text = repr(reply.raw if hasattr(reply, "raw") else reply)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _compare_types(reference, subject):
    """The same kind of reply, and null only for null."""
    same = reference.kind == subject.kind
    same = same and (reference.content is None) == (subject.content is None)
    return _unless(same, reference, subject, "another type")


def _shape(reply):
    if isinstance(reply.content, list):
        return reply.kind, [_shape(element) for element in reply.content]
    return reply.kind, reply.content is None


def _compare_shapes(reference, subject):
    """The same types and lengths at every depth."""
    same = _shape(reference) == _shape(subject)
    return _unless(same, reference, subject, "another shape")


def _compare_sorted(reference, subject):
    """The same elements in any order."""
    if _compare_types(reference, subject) or not isinstance(reference.content, list):
        return _unless(reference.raw == subject.raw, reference, subject)
    same = _sorted_elements(reference) == _sorted_elements(subject)
    return _unless(same, reference, subject, "other elements")


def _sorted_elements(reply):
    return sorted(element.raw for element in reply.content)


def _compare_numbers(reference, subject, tolerance):
    """Two integers at most `tolerance` apart, for what depends on the moment."""
    if reference.kind != b":" or subject.kind != b":":
        return _unless(False, reference, subject, "not two integers")
    same = abs(reference.value - subject.value) <= tolerance
    return _unless(same, reference, subject, f"more than {tolerance} apart")


def _compare_fields(reference, subject):
    """A map with the same fields in the same order and values of the same shape."""
    if _compare_types(reference, subject) or not isinstance(reference.content, list):
        return _unless(reference.raw == subject.raw, reference, subject)
    same = _fields(reference) == _fields(subject)
    return _unless(same, reference, subject, "other fields")


def _fields(reply):
    keys, values = reply.content[::2], reply.content[1::2]
    return [(key.raw, value.kind) for key, value in zip(keys, values)]


def _compare_names(reference, subject):
    """Text of name=value words: the same names in the same order on the first line."""
    if _compare_types(reference, subject):
        return _unless(False, reference, subject, "another type")
    same = _names(reference.value) == _names(subject.value)
    return _unless(same, reference, subject, "other names")


def _names(text):
    first_line = text.splitlines()[0] if text else b""
    return re.findall(rb"(?:^| )([a-z-]+)=", first_line)


def _compare_command_tables(reference, subject):
    """COMMAND INFO: name, arity, flags, key positions and ACL categories of every command.

    Tips, key specifications and subcommands are prose and private detail; only their place counts.
    """
    if _compare_types(reference, subject) or len(reference.content) != len(subject.content):
        return _unless(False, reference, subject, "another shape")
    same = _command_entries(reference) == _command_entries(subject)
    return _unless(same, reference, subject, "other commands")


def _command_entries(reply):
    return [_command_entry(entry) for entry in reply.content]


def _command_entry(entry):
    if entry.content is None:
        return entry.raw
    name, arity, flags, first, last, step, categories, *rest = entry.content
    fixed = [part.raw for part in (name, arity, first, last, step)]
    sets = [(group.kind, _sorted_elements(group)) for group in (flags, categories)]
    return fixed, sets, [part.kind for part in rest]


COMPARISONS = {
    "type": _compare_types,
    "shape": _compare_shapes,
    "sorted": _compare_sorted,
    "fields": _compare_fields,
    "names": _compare_names,
    "command": _compare_command_tables,
}


def complete_scan(connection, words):
    """Follows the cursor of `SCAN 0 …` to its end: an array of all keys, sorted, or the error.

    A key may come twice (SCAN promises at least once), and in any order.
    """
    cursor, keys = words[1], set()
    for _ in range(SCAN_CALLS_AT_MOST):
        reply = connection.ask(words[0], cursor, *words[2:])
        if reply.is_error:
            return reply
        if [part.kind for part in reply.content] != [b"$", b"*"]:
            raise AssertionError(f"no reply to SCAN: {shown(reply)}")
        cursor, page = reply.content[0].value, reply.content[1].value
        keys.update(page)
        if cursor == b"0":
            return parse_reply(encode_command(*sorted(keys)))[0]
    raise AssertionError(f"SCAN has not ended after {SCAN_CALLS_AT_MOST} calls")
