"""Siblings over RESP: VGET, VSET, VDEL and CONTEXT, in a keyspace `cart` with conflict siblings.

In the names of these tests a token is what a client got with a read and gives with a write.
"""

import threading
import time

import pytest

from processes import Cluster, quorum_arguments, wait_until
from wire import ServerError, error_word

SPREADS_WITHIN = 2.0
NOTHING_SEEN = ""


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    arguments = [*quorum_arguments(3, 2, 2), "--keyspace.cart.conflict", "siblings",
                 "--keyspace.cart.blind-write", "sibling",
                 "--keyspace.calm.conflict", "siblings",
                 "--keyspace.strict.conflict", "siblings",
                 "--keyspace.strict.blind-write", "reject"]
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), arguments=arguments)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture
def connections(cluster):
    opened = [node.connect() for node in cluster]
    yield opened
    for connection in opened:
        connection.close()


def vget(connection, key):
    """The token and the sorted values of a key, with a look at the reply's shape."""
    reply = connection.call("VGET", key)
    assert [reply[0], reply[2]] == [b"context", b"values"] and len(reply) == 4, reply
    return reply[1], sorted(reply[3])


def vset(connection, key, value, token, *options):
    return connection.call("VSET", key, value, "CONTEXT", token, *options)


def test_two_writes_that_saw_nothing_make_two_siblings(connections):
    vset(connections[0], "cart:1", "apple", NOTHING_SEEN)
    vset(connections[1], "cart:1", "pear", NOTHING_SEEN)
    for connection in connections:
        assert vget(connection, "cart:1")[1] == [b"apple", b"pear"]


def test_a_write_with_the_token_of_a_read_replaces_what_was_read(connections):
    vset(connections[0], "cart:1", "apple", NOTHING_SEEN)
    vset(connections[1], "cart:1", "pear", NOTHING_SEEN)
    token, _ = vget(connections[2], "cart:1")
    vset(connections[0], "cart:1", "both", token)
    for connection in connections:
        assert vget(connection, "cart:1")[1] == [b"both"]


def test_a_write_replaces_exactly_what_its_token_covers(connections):
    vset(connections[0], "cart:1", "seen", NOTHING_SEEN)
    token, _ = vget(connections[0], "cart:1")
    vset(connections[1], "cart:1", "unseen", NOTHING_SEEN)
    vset(connections[2], "cart:1", "new", token)
    for connection in connections:
        assert vget(connection, "cart:1")[1] == [b"new", b"unseen"]


def test_two_clients_with_stale_tokens_make_exactly_two_siblings(connections):
    first_token = second_token = NOTHING_SEEN
    for turn in range(50):
        first_token = vset(connections[turn % 3], "cart:1", f"first-{turn}", first_token)
        second_token = vset(connections[(turn + 1) % 3], "cart:1", f"second-{turn}", second_token)
    assert vget(connections[0], "cart:1")[1] == [b"first-49", b"second-49"]


def test_the_token_of_a_write_covers_that_write(connections):
    token = vset(connections[0], "cart:1", "one", NOTHING_SEEN)
    token = vset(connections[1], "cart:1", "two", token)
    vset(connections[2], "cart:1", "three", token)
    assert vget(connections[0], "cart:1")[1] == [b"three"]


def test_equal_values_of_concurrent_writes_are_two_siblings_or_one(connections):
    vset(connections[0], "cart:1", "same", NOTHING_SEEN)
    vset(connections[1], "cart:1", "same", NOTHING_SEEN)
    assert set(vget(connections[2], "cart:1")[1]) == {b"same"}


def test_get_returns_one_value_and_the_same_on_every_node(connections):
    for number in range(30):
        key = f"cart:{number}"
        for turn, connection in enumerate(connections):
            vset(connection, key, f"value-{turn}", NOTHING_SEEN)
        values = {connection.ask("GET", key).raw for connection in connections}
        assert len(values) == 1
        assert connections[0].call("GET", key) in vget(connections[1], key)[1]
        value = connections[0].call("GET", key)
        assert connections[2].call("MGET", key, "missing") == [value, None]


def test_no_command_changes_its_type_for_siblings(connections):
    vset(connections[0], "cart:1", "apple", NOTHING_SEEN)
    vset(connections[1], "cart:1", "orange", NOTHING_SEEN)
    value = connections[2].call("GET", "cart:1")
    assert connections[0].call("STRLEN", "cart:1") == len(value)
    assert connections[0].call("EXISTS", "cart:1") == 1
    assert connections[0].call("TYPE", "cart:1") == b"string"
    assert connections[0].call("KEYS", "cart:*") == [b"cart:1"]


def test_vget_of_a_missing_key_has_no_values_and_a_token_that_can_be_used(connections):
    token, values = vget(connections[0], "cart:missing")
    assert values == []
    vset(connections[1], "cart:missing", "first", token)
    assert vget(connections[2], "cart:missing")[1] == [b"first"]


def test_vget_is_a_map_in_resp3(cluster):
    vset_reply = cluster[0].call("VSET", "cart:1", "apple", "CONTEXT", NOTHING_SEEN)
    with cluster[1].connect(protocol=3) as connection:
        reply = connection.ask("VGET", "cart:1")
        assert reply.kind == b"%"
        assert list(reply.value) == [b"context", b"values"]
        assert reply.value[b"values"] == [b"apple"]
        assert reply.value[b"context"] == vset_reply


def test_a_token_is_printable_and_survives_a_shell(connections):
    for number in range(20):
        token = vset(connections[number % 3], "cart:1", f"value-{number}", NOTHING_SEEN)
        assert token.decode("ascii").isprintable()
        assert not set(token) & set(b" \"'\\$`\r\n"), token


@pytest.mark.parametrize("spoil", [
    lambda token: b"garbage",
    lambda token: b"\x00\xff",
    lambda token: b"0",
    lambda token: b" ",
    lambda token: token[:-1],
    lambda token: token[1:],
    lambda token: token + b"A",
    lambda token: token * 2,
    lambda token: b"x" * 100_000,
], ids=["garbage", "binary", "zero", "space", "end-cut", "start-cut", "longer", "twice", "huge"])
def test_a_bad_token_is_refused_and_changes_nothing(connections, spoil):
    token = vset(connections[0], "cart:1", "kept", NOTHING_SEEN)
    bad = spoil(token)
    for connection in connections:
        for command in (("VSET", "cart:1", "x", "CONTEXT", bad), ("VDEL", "cart:1", "CONTEXT", bad),
                        ("SET", "cart:1", "x", "CONTEXT", bad)):
            assert error_word(connection.ask(*command).value) == "BADCONTEXT", command[:3]
    assert vget(connections[0], "cart:1")[1] == [b"kept"]


def test_no_flipped_character_makes_another_valid_token(connections):
    token = vset(connections[0], "cart:1", "kept", NOTHING_SEEN)
    for position in range(len(token)):
        for other in b"ZAF09":
            spoiled = token[:position] + bytes([other]) + token[position + 1:]
            if spoiled.lower() != token.lower():
                answer = connections[0].ask("VSET", "cart:1", "x", "CONTEXT", spoiled).value
                assert error_word(answer) == "BADCONTEXT", (token, spoiled, answer)
    assert vget(connections[0], "cart:1")[1] == [b"kept"]


def test_a_token_of_another_key_is_harmless(connections):
    """Accepted or refused, it must not remove a sibling that its holder has not seen."""
    foreign = vset(connections[0], "cart:other", "elsewhere", NOTHING_SEEN)
    vset(connections[1], "cart:1", "unseen", NOTHING_SEEN)
    connections[2].ask("VSET", "cart:1", "new", "CONTEXT", foreign)
    assert b"unseen" in vget(connections[0], "cart:1")[1]


def test_vdel_removes_what_its_token_covers_and_says_how_many(connections):
    vset(connections[0], "cart:1", "apple", NOTHING_SEEN)
    vset(connections[1], "cart:1", "pear", NOTHING_SEEN)
    token, _ = vget(connections[2], "cart:1")
    vset(connections[0], "cart:1", "later", NOTHING_SEEN)
    assert connections[1].call("VDEL", "cart:1", "CONTEXT", token) == 2
    for connection in connections:
        assert vget(connection, "cart:1")[1] == [b"later"]
    token, _ = vget(connections[0], "cart:1")
    assert connections[2].call("VDEL", "cart:1", "CONTEXT", token) == 1
    assert connections[2].call("VDEL", "cart:1", "CONTEXT", token) == 0
    for connection in connections:
        assert vget(connection, "cart:1")[1] == []
        assert connection.call("GET", "cart:1") is None
        assert connection.call("EXISTS", "cart:1") == 0


def test_set_with_a_context_does_what_vset_does(connections):
    vset(connections[0], "cart:1", "apple", NOTHING_SEEN)
    vset(connections[1], "cart:1", "pear", NOTHING_SEEN)
    token, _ = vget(connections[2], "cart:1")
    connections[0].call("SET", "cart:1", "both", "CONTEXT", token)
    assert vget(connections[1], "cart:1")[1] == [b"both"]
    connections[1].call("SET", "cart:1", "more", "EX", 100, "CONTEXT", NOTHING_SEEN)
    assert vget(connections[2], "cart:1")[1] == [b"both", b"more"]


@pytest.mark.parametrize("options, least, most", [
    (["EX", 100], 98, 100), (["PX", 100_000], 98, 100), (["EXAT", "soon"], 98, 100),
    (["PXAT", "soon-in-ms"], 98, 100), ([], -1, -1),
], ids=lambda value: str(value))
def test_vset_takes_the_deadlines_of_set(connections, options, least, most):
    now = int(time.time())
    times = {"soon": now + 100, "soon-in-ms": (now + 100) * 1000}
    options = [times.get(option, option) for option in options]
    vset(connections[0], "cart:1", "v", NOTHING_SEEN, *options)
    assert least <= connections[1].call("TTL", "cart:1") <= most
    token, _ = vget(connections[2], "cart:1")
    vset(connections[2], "cart:1", "w", token, "KEEPTTL")
    assert least <= connections[1].call("TTL", "cart:1") <= most


def test_a_sibling_that_expires_leaves(connections):
    vset(connections[0], "cart:1", "short", NOTHING_SEEN, "PX", 300)
    for connection in connections:
        wait_until(lambda: vget(connection, "cart:1")[1] == [], 3, "the only sibling has expired")
        assert connection.call("GET", "cart:1") is None


@pytest.mark.parametrize("command", [
    ("VGET",), ("VGET", "a", "b"), ("VSET", "cart:1"), ("VSET", "cart:1", "v"),
    ("VDEL",), ("VDEL", "cart:1"),
    ("VSET", "cart:1", "v", "CONTEXT"), ("VSET", "cart:1", "v", "CONTEXT", "", "EX"),
    ("VSET", "cart:1", "v", "CONTEXT", "", "EX", "0"),
    ("VSET", "cart:1", "v", "CONTEXT", "", "EX", "abc"),
    ("VSET", "cart:1", "v", "CONTEXT", "", "EX", 10, "PX", 10), ("VSET", "cart:1", "v", "FOO", ""),
    ("VDEL", "cart:1", "CONTEXT"), ("VDEL", "cart:1", "FOO", ""), ("SET", "cart:1", "v", "CONTEXT"),
], ids=lambda command: " ".join(map(str, command)))
def test_wrong_words_are_errors_and_write_nothing(connections, command):
    assert error_word(connections[0].ask(*command).value) == "ERR"
    assert connections[1].call("EXISTS", "cart:1") == 0


def test_a_plain_set_follows_blind_write_sibling(connections):
    connections[0].call("SET", "cart:1", "apple")
    connections[1].call("SET", "cart:1", "pear")
    assert vget(connections[2], "cart:1")[1] == [b"apple", b"pear"]


def test_a_plain_set_follows_blind_write_overwrite(connections):
    vset(connections[0], "calm:1", "apple", NOTHING_SEEN)
    vset(connections[1], "calm:1", "pear", NOTHING_SEEN)
    assert vget(connections[2], "calm:1")[1] == [b"apple", b"pear"]
    connections[0].call("SET", "calm:1", "only")
    for connection in connections:
        assert vget(connection, "calm:1")[1] == [b"only"]
    connections[1].call("DEL", "calm:1")
    for connection in connections:
        assert vget(connection, "calm:1")[1] == []


def test_a_plain_write_follows_blind_write_reject(connections):
    token = vset(connections[0], "strict:1", "apple", NOTHING_SEEN)
    for command in (("SET", "strict:1", "x"), ("DEL", "strict:1"), ("GETSET", "strict:1", "x"),
                    ("MSET", "strict:1", "x"), ("SET", "strict:2", "x")):
        answer = connections[1].ask(*command).value
        assert isinstance(answer, ServerError), command
    assert vget(connections[2], "strict:1")[1] == [b"apple"]
    assert connections[0].call("EXISTS", "strict:2") == 0
    vset(connections[1], "strict:1", "pear", token)
    assert connections[2].call("GET", "strict:1") == b"pear"


def test_no_concurrent_write_is_lost(cluster):
    """Ten threads on three nodes write at the same time, each having seen nothing."""
    failures = []

    def write(number):
        try:
            with cluster[number % 3].connect() as connection:
                for key in range(20):
                    vset(connection, f"cart:{key}", f"value-{number}", NOTHING_SEEN)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures and not any(thread.is_alive() for thread in threads)
    expected = sorted(b"value-%d" % number for number in range(10))
    for node in cluster:
        with node.connect() as connection:
            for key in range(20):
                wait_until(lambda: vget(connection, f"cart:{key}")[1] == expected, SPREADS_WITHIN,
                           f"all ten siblings of cart:{key} on {node.port}")


def test_a_hundred_siblings_resolve_and_never_refuse_a_write(connections):
    for number in range(150):
        vset(connections[number % 3], "cart:many", f"value-{number:03}", NOTHING_SEEN)
    _, values = vget(connections[0], "cart:many")
    assert 1 <= len(values) <= 100
    assert b"value-149" in values
