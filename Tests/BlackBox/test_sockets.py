"""Sockets closed by half, never read, cut in odd places, full of garbage, or too many."""

import random
import resource
import socket
import struct
import time
from pathlib import Path

import pytest

from processes import Cluster, quorum_arguments, wait_until
from wire import Connection, NoReply, encode_command

LARGE_VALUE = 64 << 20
MANY_COMMANDS = 100_000
MANY_CONNECTIONS = 1000
WITHIN = 60.0


@pytest.fixture(params=["node", "cluster"])
def served(request):
    """A lone node, then the second node of a cluster."""
    found = request.getfixturevalue(request.param)
    return found[1] if isinstance(found, Cluster) else found


def test_a_half_closed_socket_gets_every_reply(served):
    with served.connect() as connection:
        connection.send(b"".join(encode_command("INCR", "counter") for _ in range(5000)))
        connection.socket.shutdown(socket.SHUT_WR)
        replies = connection.read_until_closed()
    assert [reply.value for reply in replies] == list(range(1, 5001))


def test_a_half_closed_socket_gets_replies_from_every_owner(served):
    keys = [f"key-{number}" for number in range(500)]
    with served.connect() as connection:
        for key in keys:
            connection.send(encode_command("SET", key, key) + encode_command("GET", key))
        connection.socket.shutdown(socket.SHUT_WR)
        replies = connection.read_until_closed()
    assert [reply.value for reply in replies[1::2]] == [key.encode() for key in keys]
    assert len(replies) == 1000


def test_a_half_closed_socket_with_half_a_command_is_closed(served):
    with served.connect() as connection:
        connection.send(encode_command("PING") + b"*2\r\n$3\r\nGET\r\n$5\r\nke")
        connection.socket.shutdown(socket.SHUT_WR)
        assert [reply.value for reply in connection.read_until_closed()] == [b"PONG"]


def test_the_end_of_an_idle_connection_is_answered_at_once(node):
    waits = []
    for _ in range(30):
        with node.connect() as connection:
            assert connection.call("PING") == b"PONG"
            start = time.monotonic()
            connection.socket.shutdown(socket.SHUT_WR)
            connection.read_until_closed()
            waits.append(time.monotonic() - start)
    # An idle node's loop goes round ten times a second: waiting for that takes 50 ms or more.
    assert sorted(waits)[len(waits) // 2] < 0.02


def test_a_hundred_thousand_commands_in_one_write(served):
    payload = b"".join(
        encode_command("SET", f"key-{number % 1000}", number)
        + encode_command("GET", f"key-{number % 1000}")
        for number in range(MANY_COMMANDS // 2))
    with served.connect(timeout=WITHIN) as connection:
        replies = connection.pipeline(payload, MANY_COMMANDS)
    expected = [b"%d" % number for number in range(MANY_COMMANDS // 2)]
    assert [reply.value for reply in replies[1::2]] == expected


def test_a_client_that_reads_only_after_it_has_sent_everything(served):
    """redis-py's pipelines do so: the server has to keep the replies."""
    payload = encode_command("PING") * 20_000
    with served.connect(timeout=WITHIN) as connection:
        connection.send(payload)
        replies = [connection.read_reply() for _ in range(20_000)]
    assert {reply.raw for reply in replies} == {b"+PONG\r\n"}


def test_a_value_of_64_mib_goes_in_and_comes_out(served):
    value = random.Random(64).randbytes(1 << 20) * (LARGE_VALUE >> 20)
    with served.connect(timeout=WITHIN) as connection:
        started = time.monotonic()
        assert connection.pipeline(encode_command("SET", "large", value), 1)[0].value == b"OK"
        assert connection.call("STRLEN", "large") == LARGE_VALUE
        assert connection.call("GETRANGE", "large", -4, -1) == value[-4:]
        assert connection.call("GET", "large") == value
        assert time.monotonic() - started < WITHIN
        assert connection.call("DEL", "large") == 1


def test_a_large_value_written_on_one_node_is_read_on_another(cluster):
    value = random.Random(65).randbytes(1 << 20) * (LARGE_VALUE >> 20)
    with cluster[0].connect(timeout=WITHIN) as writer, cluster[2].connect(timeout=WITHIN) as reader:
        assert writer.pipeline(encode_command("SET", "large", value), 1)[0].value == b"OK"
        assert reader.call("GET", "large") == value


def test_others_are_served_while_a_large_value_comes_in_slowly(served):
    value = b"v" * (8 << 20)
    payload = encode_command("SET", "slow", value)
    with served.connect() as slow, served.connect(timeout=2.0) as quick:
        for start in range(0, len(value), 1 << 20):
            slow.send(payload[start:start + (1 << 20)])
            assert quick.call("PING") == b"PONG"
            assert quick.call("GET", "slow") is None
        slow.send(payload[len(value):])
        assert slow.read_reply().value == b"OK"
        assert quick.call("STRLEN", "slow") == len(value)


def test_a_client_that_never_reads_does_not_stop_the_others(served):
    with served.connect() as deaf, served.connect(timeout=5.0) as other:
        other.call("SET", "megabyte", b"v" * (1 << 20))
        deaf.send(encode_command("GET", "megabyte") * 200)
        for number in range(100):
            assert other.call("SET", "key", number) == b"OK"
            assert other.call("GET", "key") == b"%d" % number


def test_a_thousand_connections_at_once(served):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MANY_CONNECTIONS + 200
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))
    connections = []
    try:
        for _ in range(MANY_CONNECTIONS):
            connections.append(served.connect(timeout=WITHIN))
        for number, connection in enumerate(connections):
            connection.send(encode_command("SET", f"key-{number}", number)
                            + encode_command("GET", f"key-{number}"))
        for number, connection in enumerate(connections):
            assert connection.read_reply().value == b"OK"
            assert connection.read_reply().value == b"%d" % number
        assert int(served.info("clients")["connected_clients"]) >= MANY_CONNECTIONS
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: int(served.info("clients")["connected_clients"]) < 50, 10,
               "closed connections are forgotten")


def test_connections_that_come_and_go_leave_nothing_behind(served):
    def open_files():
        return len(list(Path(f"/proc/{served.pid}/fd").iterdir()))

    before = open_files()
    for number in range(1000):
        with served.connect() as connection:
            connection.send(encode_command("SET", "key", number))
            if number % 2:
                connection.read_reply()
    wait_until(lambda: open_files() <= before + 5, 10, "their descriptors are closed")


def test_a_connection_reset_in_the_middle_of_a_command_harms_nobody(served):
    for cut in (1, 5, 20, 60):
        connection = served.connect()
        connection.send((encode_command("SET", "key", b"v" * 100) * 3)[:-cut])
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert served.call("PING") == b"PONG"
    assert served.call("GET", "key") == b"v" * 100


def test_a_pipeline_behind_a_reset_connection_is_no_trouble(served):
    """The replies have nowhere to go: on a cluster some still come from other nodes by then."""
    for _ in range(20):
        connection = served.connect()
        connection.send(b"".join(encode_command("INCR", f"key-{n}") for n in range(2000)))
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert served.call("PING") == b"PONG"


def garbage(seed):
    """Random bytes, some of which begin like RESP or like a frame of a length that never comes."""
    generator = random.Random(seed)
    beginning = generator.choice([
        b"", b"*", b"$", b"*3\r\n$3\r\nSET\r\n", b"*1\r\n$", b"GET ", b"\x00\x00\x00\x08",
        b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x00\x00\x00\x00",
        b"\x16\x03\x01", b"*2147483647\r\n", b"*1\r\n$536870912\r\n"])
    return beginning + generator.randbytes(generator.choice([0, 1, 7, 100, 5000, 100_000]))


def throw(port, payload):
    """Sends `payload`, takes what comes for a moment, and goes; being cut off is fine."""
    with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
        connection.settimeout(0.05)
        try:
            connection.sendall(payload)
            while connection.recv(1 << 16):
                pass
        except OSError:
            pass


def resident_bytes(node):
    with open(f"/proc/{node.pid}/statm") as statistics:
        return int(statistics.read().split()[1]) * resource.getpagesize()


def test_garbage_at_the_client_port_leaves_the_node_up(served):
    served.call("SET", "key", "value")
    for seed in range(100):
        throw(served.port, garbage(seed))
    assert served.is_running()
    assert served.call("GET", "key") == b"value"


def test_garbage_at_the_peer_port_leaves_the_cluster_up(cluster):
    cluster[0].call("SET", "key", "value")
    for seed in range(100):
        for node in cluster:
            throw(node.peer_port, garbage(seed))
    for node in cluster:
        assert node.is_running()
        assert node.knows_a_complete_cluster_of(3)
        assert node.call("GET", "key") == b"value"


def test_commands_of_clients_at_the_peer_port_are_not_obeyed(cluster):
    cluster[0].call("SET", "key", "value")
    for node in cluster:
        throw(node.peer_port, encode_command("FLUSHALL") + b"FLUSHALL\r\n")
    for node in cluster:
        assert node.call("GET", "key") == b"value"


def test_lengths_that_promise_gigabytes_cost_no_memory(served):
    before = resident_bytes(served)
    connections = [Connection(served.port) for _ in range(50)]
    try:
        for connection in connections:
            connection.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$536870912\r\n" + b"v" * 1000)
        with pytest.raises(NoReply):
            connections[0].read_reply(timeout=0.3)
        assert resident_bytes(served) - before < 64 << 20
    finally:
        for connection in connections:
            connection.close()
    assert served.call("PING") == b"PONG"


def test_silent_connections_to_the_peer_port_do_not_keep_peers_out(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    silent = [
        socket.create_connection(("127.0.0.1", node.peer_port), timeout=5)
        for node in cluster for _ in range(50)
    ]
    try:
        cluster[2].kill()
        cluster[2].start_and_wait()
        cluster.wait_until_complete()
        cluster[2].call("SET", "key", "value")
        assert cluster[0].call("GET", "key") == b"value"
    finally:
        for connection in silent:
            connection.close()
