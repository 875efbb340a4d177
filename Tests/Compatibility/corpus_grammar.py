"""The grammar of the corpus: one command a line, written as one would type it into redis-cli.

    # a comment
    SET key "a value with \\x00 and \\r\\n" EX 10
    SET key "x"*1000                  a quoted word times a number
    ~sorted KEYS *                    an annotation: how the two replies are compared
    !wait 40                          both servers are left alone for 40 ms
    !connect                          goes on with a fresh connection
    !raw "*1\\r\\n$4\\r\\n" "PING\\r\\n"    bytes for a connection of their own

README.md explains the annotations.
"""

import re
from dataclasses import dataclass

ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "b": b"\b", "a": b"\a"}
TOKEN = re.compile(
    r'''\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[^\s"']+))'''
    r'''(?:\*(?P<times>\d+))?(?=\s|$)''')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")


@dataclass(frozen=True)
class Line:
    """One line that does something, and where it stands."""

    place: str
    text: str


@dataclass(frozen=True)
class Command(Line):
    """A command whose two replies are compared by `comparison`, byte for byte when it is empty."""

    words: tuple
    comparison: str


@dataclass(frozen=True)
class Raw(Line):
    """Bytes that are no command that a client library would send."""

    payload: bytes


@dataclass(frozen=True)
class Wait(Line):
    seconds: float


@dataclass(frozen=True)
class Connect(Line):
    pass


def read_corpus(path):
    """The lines of one corpus file, in order."""
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    return [
        parse_line(text.strip(), f"{path.name}:{number}")
        for number, text in lines
        if text.strip() and not text.strip().startswith("#")
    ]


def parse_line(text, place):
    if text.startswith("!"):
        return _parse_directive(text, place)
    comparison, rest = "", text
    if text.startswith("~"):
        comparison, _, rest = text[1:].partition(" ")
    words = tuple(split_words(rest, place))
    if not words:
        raise ValueError(f"{place}: no command: {text}")
    return Command(place, text, words, comparison)


def _parse_directive(text, place):
    name, _, rest = text[1:].partition(" ")
    if name == "raw":
        return Raw(place, text, b"".join(split_words(rest, place)))
    if name == "wait":
        return Wait(place, text, int(rest) / 1000)
    if name == "connect":
        return Connect(place, text)
    raise ValueError(f"{place}: no such directive: !{name}")


def split_words(text, place):
    """The words of a line; double quotes know redis-cli's escapes, single quotes only \\'."""
    position, words = 0, []
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{place}: bad quoting: {text[position:]}")
        words.append(_word(match))
        position = match.end()
    return words


def _word(match):
    if match["bare"] is not None:
        return match[0].strip().encode()
    if match["double"] is not None:
        word = _unescape(match["double"])
    else:
        word = match["single"].replace("\\'", "'").encode()
    return word * int(match["times"] or 1)


def _unescape(text):
    position, parts = 0, []
    for escape in ESCAPE.finditer(text):
        parts.append(text[position:escape.start()].encode())
        parts.append(_escaped_byte(escape[1]))
        position = escape.end()
    return b"".join(parts) + text[position:].encode()


def _escaped_byte(escape):
    if len(escape) == 3:
        return bytes([int(escape[1:], 16)])
    return ESCAPES.get(escape, escape.encode())
