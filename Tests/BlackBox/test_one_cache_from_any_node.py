"""A client sees one cache, whichever node it talks to.

Whether a reader elsewhere has every copy at the very moment of an acknowledgement depends on N, W
and R; with W+R > N, or one copy, a read that starts after the acknowledgement sees the write.
Counting and listing are compared with a short patience, since a third copy may still be on its way.
"""

import time

import pytest

from processes import Cluster, quorum_arguments
from wire import error_word

SPREADS_WITHIN = 2.0
KEYS = 500


@pytest.fixture(scope="module", params=[(1, 1, 1), (2, 2, 1), (3, 2, 2), (3, 1, 3), (3, 3, 1)],
                ids=lambda quorum: "N{}-W{}-R{}".format(*quorum))
def shared_cluster(request, tmp_path_factory):
    """Instead of the usual cluster: one for each way to have reads see writes."""
    directory = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(directory, arguments=quorum_arguments(*request.param))
    try:
        yield cluster.start()
    finally:
        cluster.end()


def eventually(read, expected, what):
    """Fails with the last value read, when it has not become `expected` in time."""
    deadline = time.monotonic() + SPREADS_WITHIN
    while (value := read()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    assert value == expected, what


def scan_keys(connection, *options):
    cursor, keys = b"0", []
    for _ in range(100_000):
        cursor, page = connection.call("SCAN", cursor, *options)
        keys += page
        if cursor == b"0":
            return set(keys)
    raise AssertionError("SCAN has not come to its end")


@pytest.fixture
def connections(cluster):
    opened = [node.connect() for node in cluster]
    yield opened
    for connection in opened:
        connection.close()


def test_what_one_node_wrote_every_node_reads(connections):
    for number in range(KEYS):
        writer = connections[number % 3]
        assert writer.call("SET", f"key-{number}", f"value-{number}") == b"OK"
        for reader in connections:
            assert reader.call("GET", f"key-{number}") == b"value-%d" % number


def test_a_counter_counts_on_whichever_node(connections):
    for number in range(300):
        assert connections[number % 3].call("INCR", f"counter-{number % 10}") == number // 10 + 1


def test_commands_that_read_and_write_see_what_another_node_wrote(connections):
    first, second, third = connections
    for number in range(50):
        key = f"key-{number}"
        assert first.call("SET", key, "a") == b"OK"
        assert second.call("APPEND", key, "b") == 2
        assert third.call("SET", key, "no", "NX") is None
        assert first.call("GETSET", key, "c") == b"ab"
        assert second.call("SET", key, "d", "XX", "GET") == b"c"
        assert third.call("GETDEL", key) == b"d"
        assert first.call("SETNX", key, "e") == 1
        assert second.call("EXPIRE", key, 100) == 1
        assert 98 <= third.call("TTL", key) <= 100
        assert first.call("PERSIST", key) == 1
        assert second.call("TTL", key) == -1
        assert third.call("TYPE", key) == b"string"
        assert first.call("STRLEN", key) == 1
        assert second.call("SETRANGE", key, 1, "f") == 2
        assert third.call("GETRANGE", key, 0, -1) == b"ef"


def test_mset_and_mget_span_the_nodes(connections):
    first, second, third = connections
    pairs = [word for number in range(KEYS) for word in (f"key-{number}", f"value-{number}")]
    keys = pairs[0::2]
    values = [value.encode() for value in pairs[1::2]]
    assert first.call("MSET", *pairs) == b"OK"
    assert second.call("MGET", *keys) == values
    backwards = third.call("MGET", "missing", *reversed(keys), "key-0")
    assert backwards == [None, *reversed(values), values[0]]


def test_mset_with_a_key_twice_keeps_the_last(connections):
    assert connections[0].call("MSET", "a", 1, "b", 2, "a", 3) == b"OK"
    assert connections[1].call("MGET", "a", "b") == [b"3", b"2"]


def test_del_unlink_exists_and_touch_count_over_the_nodes(connections):
    first, second, third = connections
    keys = [f"key-{number}" for number in range(100)]
    first.call("MSET", *[word for key in keys for word in (key, "v")])
    assert second.call("EXISTS", *keys, *keys, "missing") == 200
    assert third.call("TOUCH", *keys, "missing") == 100
    assert second.call("DEL", *keys[:40], "missing") == 40
    assert third.call("DEL", *keys[:40]) == 0
    assert third.call("UNLINK", *keys[30:60]) == 20
    assert first.call("EXISTS", *keys) == 40
    assert first.call("MGET", *keys[:60]) == [None] * 60


def test_dbsize_keys_and_scan_cover_the_cluster_and_count_a_key_once(connections):
    keys = {f"key-{number}".encode() for number in range(KEYS)}
    for number, key in enumerate(sorted(keys)):
        connections[number % 3].call("SET", key, "v")
    for connection in connections:
        eventually(lambda: connection.call("DBSIZE"), KEYS, "DBSIZE counts every key once")
        eventually(lambda: sorted(connection.call("KEYS", "*")), sorted(keys), "KEYS lists all")
        eventually(lambda: scan_keys(connection), keys, "SCAN finds all")
        eventually(lambda: scan_keys(connection, "COUNT", 7), keys, "SCAN by sevens finds all")
        eventually(lambda: scan_keys(connection, "MATCH", "key-1*", "TYPE", "string"),
                   {key for key in keys if key.startswith(b"key-1")}, "SCAN MATCH finds all")
        assert connection.call("RANDOMKEY") in keys


def test_scan_misses_no_key_that_stays_while_others_come_and_go(connections):
    first, second, third = connections
    staying = {b"stays-%d" % number for number in range(KEYS)}
    for key in staying:
        first.call("SET", key, "v")
    eventually(lambda: second.call("DBSIZE"), KEYS, "all are there")
    cursor, found, turns = b"0", set(), 0
    while True:
        cursor, page = second.call("SCAN", cursor, "COUNT", 10)
        found.update(page)
        third.call("SET", f"comes-{turns}", "v")
        third.call("DEL", f"comes-{turns - 1}")
        turns += 1
        if cursor == b"0":
            break
        assert turns < 100_000, "SCAN has not come to its end"
    assert staying <= found


def test_deleted_and_expired_keys_are_gone_everywhere(connections):
    first, second, third = connections
    first.call("MSET", "deleted", 1, "kept", 2)
    first.call("SET", "expired", 3, "PX", 50)
    assert second.call("DEL", "deleted") == 1
    eventually(lambda: [c.call("GET", "expired") for c in connections], [None] * 3, "it expires")
    for connection in connections:
        assert connection.call("EXISTS", "deleted", "expired", "kept") == 1
        eventually(lambda: connection.call("KEYS", "*"), [b"kept"], "one key is left")
        eventually(lambda: connection.call("DBSIZE"), 1, "one key is counted")


def test_flushall_on_one_node_empties_the_cache(connections):
    for round in range(3):
        for number in range(100):
            connections[number % 3].call("SET", f"key-{number}", "v")
        assert connections[round].call("FLUSHALL") == b"OK"
        for connection in connections:
            eventually(lambda: connection.call("DBSIZE"), 0, "no key is left")
            eventually(lambda: connection.call("GET", "key-7"), None, "no value is left")
        connections[round].call("SET", "after", "the flush")
        for connection in connections:
            assert connection.call("GET", "after") == b"the flush"


def test_flushdb_leaves_the_other_databases_alone(connections):
    first, second, third = connections
    for connection in connections:
        connection.call("SELECT", 1)
    first.call("SET", "key", "in one")
    second.call("SELECT", 2)
    second.call("SET", "key", "in two")
    assert third.call("FLUSHDB") == b"OK"
    eventually(lambda: first.call("GET", "key"), None, "database 1 is empty")
    assert second.call("GET", "key") == b"in two"
    second.call("FLUSHALL")
    eventually(lambda: second.call("GET", "key"), None, "every database is empty")


def test_a_database_is_part_of_a_key_on_every_node(connections):
    for number, connection in enumerate(connections):
        connection.call("SELECT", number)
        connection.call("SET", "same name", f"in {number}")
    for number, connection in enumerate([*connections[1:], connections[0]]):
        connection.call("SELECT", number)
        assert connection.call("GET", "same name") == b"in %d" % number


def test_msetnx_needs_its_keys_in_one_slot(connections):
    first, second, third = connections
    assert error_word(first.ask("MSETNX", "a", 1, "b", 2, "c", 3).value) == "CROSSSLOT"
    assert second.call("EXISTS", "a", "b", "c") == 0
    assert second.call("MSETNX", "{tag}a", 1, "{tag}b", 2) == 1
    assert third.call("MSETNX", "{tag}b", 3, "{tag}c", 4) == 0
    assert first.call("MGET", "{tag}a", "{tag}b", "{tag}c") == [b"1", b"2", None]


def test_binary_keys_and_large_values_travel_between_nodes(connections):
    first, second, third = connections
    keys = [bytes([number]) * 3 + b"\r\n\x00" for number in range(256)]
    for key in keys:
        first.call("SET", key, key * 1000)
    assert second.call("MGET", *keys) == [key * 1000 for key in keys]
    first.call("SET", "", "the empty key")
    assert third.call("GET", "") == b"the empty key"


def test_errors_of_a_forwarded_command_are_those_of_redis(connections):
    for connection in connections:
        for number in range(30):
            connection.call("SET", f"text-{number}", "abc")
            refusal = connection.ask("INCR", f"text-{number}").raw
            assert refusal == b"-ERR value is not an integer or out of range\r\n"
