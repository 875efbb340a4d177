"""The grammar reads what it says it reads, and the comparisons see what they should see."""

import pytest

from comparison import difference
from corpus_grammar import Command, Raw, parse_line
from wire import parse_reply


def reply(raw):
    return parse_reply(raw)[0]


@pytest.mark.parametrize("text, words", [
    ("GET key", (b"GET", b"key")),
    ('SET k "a b"', (b"SET", b"k", b"a b")),
    (r'SET k "\x00\xff\r\n\t\"\\"', (b"SET", b"k", b'\x00\xff\r\n\t"\\')),
    ("SET k 'a\\x41'", (b"SET", b"k", b"a\\x41")),
    ('SET k ""', (b"SET", b"k", b"")),
    ('SET k "ab"*3', (b"SET", b"k", b"ababab")),
    ("KEYS a*2", (b"KEYS", b"a*2")),
    ("KEYS h[^e]llo", (b"KEYS", b"h[^e]llo")),
])
def test_words_are_split_like_in_redis_cli(text, words):
    assert parse_line(text, "here") == Command("here", text, words, "")


def test_an_annotation_is_taken_from_the_front():
    assert parse_line("~number±2 TTL k", "here").comparison == "number±2"


def test_directives_are_no_commands():
    text = '!raw "PI" "NG\\r\\n"'
    assert parse_line(text, "here") == Raw("here", text, b"PING\r\n")
    assert parse_line("!wait 40", "here").seconds == 0.04


@pytest.mark.parametrize("text", ['SET k "open', "!nosuch 1", "~sorted", 'SET k "a"b'])
def test_a_line_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match="here"):
        parse_line(text, "here")


@pytest.mark.parametrize("comparison, reference, subject", [
    ("", b"+OK\r\n", b"$2\r\nOK\r\n"),
    ("type", b"$1\r\na\r\n", b"$-1\r\n"),
    ("shape", b"*1\r\n:1\r\n", b"*1\r\n+1\r\n"),
    ("sorted", b"*2\r\n+a\r\n+b\r\n", b"*2\r\n+a\r\n+a\r\n"),
    ("number±2", b":10\r\n", b":13\r\n"),
    ("fields", b"%1\r\n+a\r\n:1\r\n", b"%1\r\n+b\r\n:1\r\n"),
    ("fields", b"%1\r\n+a\r\n:1\r\n", b"*2\r\n+a\r\n:1\r\n"),
    ("names", b"$3\r\na=1\r\n", b"$3\r\nb=1\r\n"),
])
def test_a_difference_is_seen(comparison, reference, subject):
    assert difference(comparison, reply(reference), reply(subject))


@pytest.mark.parametrize("comparison, reference, subject", [
    ("", b"+OK\r\n", b"+OK\r\n"),
    ("type", b"$1\r\na\r\n", b"$2\r\nbb\r\n"),
    ("shape", b"*1\r\n:1\r\n", b"*1\r\n:2\r\n"),
    ("sorted", b"*2\r\n+a\r\n+b\r\n", b"*2\r\n+b\r\n+a\r\n"),
    ("number±2", b":10\r\n", b":12\r\n"),
    ("fields", b"%1\r\n+a\r\n:1\r\n", b"%1\r\n+a\r\n:2\r\n"),
    ("names", b"$3\r\na=1\r\n", b"$3\r\na=2\r\n"),
])
def test_what_an_annotation_forgives_is_no_difference(comparison, reference, subject):
    assert difference(comparison, reply(reference), reply(subject)) is None
