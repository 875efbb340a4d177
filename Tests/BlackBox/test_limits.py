"""What clients may cost a running node: each limit, with others served meanwhile."""

import select
import socket
import time

import pytest

from processes import Node, started, wait_until
from wire import encode_command

MEGABYTE = 1 << 20
# Replies with larger values refer to them; below, each is a copy that counts for its client.
COPIED = MEGABYTE // 2 - 1000


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A node whose limits these tests set; each test sets those that it needs."""
    node = Node(tmp_path_factory.mktemp("limits"))
    node.start_and_wait()
    yield node
    node.end()


def is_closed(connection):
    """Whether the other end has closed; what has come before that is read and dropped."""
    stream = connection.socket
    stream.settimeout(0)
    try:
        while stream.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def unread(node):
    """A client that asks and does not read at first: its receive buffer is bounded."""
    connection = node.connect()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17)
    return connection


def clients_known(node):
    return int(node.info("clients")["connected_clients"])


def test_a_client_that_does_not_read_waits_at_a_mebibyte_and_loses_nothing(limited):
    value = bytes(900_000)
    limited.call("SET", "big", value)
    deaf = unread(limited)
    deaf.send(encode_command("GET", "big") * 30)
    time.sleep(0.5)
    line = next(
        line for line in limited.call("CLIENT", "LIST").decode().splitlines() if "cmd=get" in line)
    fields = dict(word.split("=", 1) for word in line.split())
    assert int(fields["omem"]) < 3 * MEGABYTE
    for _ in range(30):
        assert deaf.read_reply(20).value == value
    deaf.close()


def test_replies_beyond_the_hard_limit_close_the_client(limited):
    limited.call("SET", "big", bytes(MEGABYTE))
    limited.call("CONFIG", "SET", "client-output-buffer-limit", "normal 8mb 0 0")
    deaf = unread(limited)
    before = clients_known(limited)
    deaf.send(encode_command("MGET", *["big"] * 20))
    wait_until(lambda: clients_known(limited) < before, 5, "the client is closed")
    assert "client-output-buffer-limit normal" in limited.output()
    limited.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
    deaf.close()


def test_a_query_beyond_its_limit_closes_the_client(limited):
    limited.call("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    with limited.connect() as connection:
        connection.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$50000000\r\n")
        try:
            for _ in range(64):
                connection.send(bytes(64 << 10))
        except (ConnectionError, TimeoutError):
            pass
        wait_until(lambda: is_closed(connection), 5, "the client is closed")
    limited.call("CONFIG", "SET", "client-query-buffer-limit", "1gb")
    assert limited.call("PING") == b"PONG"


def test_the_largest_clients_go_above_maxmemory_clients_and_exempt_ones_stay(limited):
    limited.call("SET", "copied", bytes(COPIED))
    limited.call("CONFIG", "SET", "maxmemory-clients", "20mb")
    exempt = unread(limited)
    assert exempt.call("CLIENT", "NO-EVICT", "ON") == b"OK"
    small = limited.connect()
    deaf = [exempt, *(unread(limited) for _ in range(30))]
    for connection in deaf:
        connection.send(encode_command("GET", "copied") * 5)
    wait_until(
        lambda: int(limited.info("stats")["evicted_clients"]) >= 5, 5, "clients are evicted")
    assert int(limited.info("memory")["mem_clients_normal"]) <= 24 * MEGABYTE
    assert small.call("PING") == b"PONG"
    for _ in range(5):
        assert len(exempt.read_reply(20).value) == COPIED
    limited.call("CONFIG", "SET", "maxmemory-clients", "0")
    for connection in [*deaf, small]:
        connection.close()


def test_idle_clients_are_closed_after_timeout_but_not_those_that_wait_or_monitor(limited):
    with limited.connect() as idle, limited.connect() as monitor, limited.connect() as busy:
        assert monitor.call("MONITOR") == b"OK"
        limited.call("CONFIG", "SET", "timeout", "2")
        began = time.monotonic()
        while time.monotonic() - began < 6:
            assert busy.call("PING") == b"PONG"
            time.sleep(0.2)
        assert is_closed(idle)
        assert not is_closed(monitor)
        assert busy.call("CONFIG", "SET", "timeout", "0") == b"OK"


def test_half_a_command_is_closed_after_thirty_seconds_and_a_slow_value_is_not(limited):
    half, slow = limited.connect(), limited.connect()
    half.send(b"*3\r\n$3\r\nSET\r\n$4\r\nha")
    slow.send(b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$200000\r\n")
    began = time.monotonic()
    sent = 0
    # One byte a second keeps nobody open; 4 KiB a second does.
    while time.monotonic() - began < 36:
        time.sleep(1)
        slow.send(bytes(4096))
        sent += 4096
        try:
            half.send(b"l")
        except ConnectionError:
            pass
    assert is_closed(half)
    slow.send(bytes(200_000 - sent) + b"\r\n")
    assert slow.read_reply(10).value == b"OK"
    assert limited.call("STRLEN", "slow") == 200_000
    half.close()
    slow.close()


def test_who_does_not_log_in_may_send_little_and_wait_ten_seconds(make_node):
    node = started(make_node("--requirepass", "secret"), password="secret")
    idle = socket.create_connection(("127.0.0.1", node.port))
    wordy = socket.create_connection(("127.0.0.1", node.port))
    began = time.monotonic()
    wordy.sendall(b"*11\r\n" + b"$4\r\nPING\r\n" * 11)
    wordy.settimeout(5)
    said = b""
    while part := wordy.recv(1000):
        said += part
    assert b"unauthenticated multibulk length" in said
    readable, _, _ = select.select([idle], [], [], 15)
    assert readable and idle.recv(100) == b""
    assert 8 < time.monotonic() - began < 14
    idle.close()
    wordy.close()
