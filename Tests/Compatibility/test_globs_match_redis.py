"""Random glob patterns: KEYS and CONFIG GET answer as redis-server's do, quirks included."""

import random

PATTERNS = 500
KEYS = [
    b"", b"a", b"b", b"ab", b"aab", b"abab", b"A", b"-", b"[", b"]", b"^", b"\\", b"*", b"?", b"a-b",
    b"a]", b"[a]", b"\xff", b"\x80a", b"a\xff", b"\x00", b"aaaaaaaab", b"key:1", b"key:12", b"bbb",
]


def _pattern(generator):
    alphabet = [b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"A", b"\xff", b"\x80", b"k"]
    pieces = alphabet + [b"[a-b]", b"[^a]", b"[\\]]", b"[b-\xff]", b"**", b"[a-", b"*b"]
    return b"".join(generator.choices(pieces, k=generator.randrange(1, 9)))


def test_random_patterns_match_the_same_keys(reference_and_subject):
    generator = random.Random(1)
    patterns = [_pattern(generator) for _ in range(PATTERNS)]
    found = []
    for node in reference_and_subject:
        client = node.client(protocol=2, socket_timeout=120)
        client.mset({key: b"x" for key in KEYS})
        with client.pipeline(transaction=False) as pipeline:
            for pattern in patterns:
                pipeline.keys(pattern)
            found.append([sorted(keys) for keys in pipeline.execute()])
    for pattern, *answers in zip(patterns, *found):
        assert answers[0] == answers[1], pattern


def test_case_is_ignored_alike(reference_and_subject):
    patterns = [
        "TIMEOUT", "[T-Z]imeout", "[t-z]IMEOUT", "[Z-a]*", "[\\T]imeout", "[^T]imeout", "\\Timeout",
        "[^t]imeout", "time[N-Q]ut", "[A-z]imeout", "[@-T]imeout", "[T-t]imeout",
    ]
    for pattern in patterns:
        answers = [
            "timeout" in node.client(protocol=2).config_get(pattern)
            for node in reference_and_subject
        ]
        assert answers[0] == answers[1], pattern
