"""Values of many MiB on real processes: right bytes, no long stall for others, memory given back."""

import hashlib
import multiprocessing
import random
import subprocess
import time

import pytest

from processes import wait_until

SIZE = 64 << 20
# Far above what a node alone on a machine needs, and far below what one copy at a time took.
STALL = 0.25


@pytest.fixture(scope="module")
def values():
    generator = random.Random(4)
    return [generator.randbytes(1 << 20) * (SIZE >> 20) + bytes([number]) for number in range(2)]


def digest(value):
    return hashlib.sha1(value).hexdigest()


class Pinger:
    """Another client that asks every millisecond and remembers its longest wait: a process of its
    own, because the test holds the interpreter while it copies values."""

    def __init__(self, node):
        self.worst = multiprocessing.Value("d", 0)
        self.is_done = multiprocessing.Value("b", 0)
        self.process = multiprocessing.Process(
            target=Pinger.run, args=(node, self.worst, self.is_done), daemon=True)
        self.process.start()

    @staticmethod
    def run(node, worst, is_done):
        with node.connect() as connection:
            while not is_done.value:
                started = time.monotonic()
                connection.call("PING")
                worst.value = max(worst.value, time.monotonic() - started)
                time.sleep(0.001)

    def end(self):
        self.is_done.value = 1
        self.process.join(10)
        return self.worst.value


def test_every_way_of_a_big_value(node, values):
    first, second = values
    with node.connect(timeout=60) as client:
        assert client.call("SET", "k", first) == b"OK"
        assert digest(client.call("GET", "k")) == digest(first)
        assert digest(client.call("SET", "k", second, "GET")) == digest(first)
        assert client.call("APPEND", "k", b"tail") == len(second) + 4
        assert client.call("GETRANGE", "k", -5, -1) == second[-1:] + b"tail"
        assert client.call("MSET", "a", first, "b", second) == b"OK"
        assert [digest(value) for value in client.call("MGET", "b", "a")] == [
            digest(second), digest(first)]
        assert client.call("DEL", "k", "a", "b") == 3
    wait_until(
        lambda: node.client().info("memory")["lazyfree_pending_objects"] == 0, 10, "all given back")
    assert node.client().info("memory")["used_memory"] < 8 << 20


def test_others_do_not_wait(node, values):
    pinger = Pinger(node)
    with node.connect(timeout=60) as client:
        for value in values * 2:
            assert client.call("SET", "k", value) == b"OK"
            assert len(client.call("GET", "k")) == len(value)
        client.call("FLUSHALL")
    time.sleep(0.2)
    assert pinger.end() < STALL


def test_a_reader_that_goes_away_half_way(node, values):
    node.call("SET", "k", values[0], timeout=60)
    client = node.connect()
    client.send(b"GET k\r\n" * 20)
    time.sleep(0.2)
    client.close()
    assert node.call("DEL", "k") == 1
    wait_until(
        lambda: node.client().info("memory")["used_memory"] < 8 << 20, 10, "the value is given back")


def test_in_a_cluster(cluster, values):
    for number, node in enumerate(cluster):
        with node.connect(timeout=60) as client:
            assert client.call("SET", f"k{number}", values[number % 2]) == b"OK"
    for node in cluster:
        with node.connect(timeout=60) as client:
            for number in range(3):
                got = client.call("GET", f"k{number}")
                assert digest(got) == digest(values[number % 2])


def test_the_largest_value_in_a_cluster(cluster):
    """A link that is busy with one value for seconds is not taken for a dead one."""
    part = random.Random(5).randbytes(1 << 20)
    writer = subprocess.Popen(
        ["redis-cli", "-p", str(cluster[0].port), "-x", "SET", "largest"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    expected = hashlib.sha1()
    for _ in range(512):
        writer.stdin.write(part)
        expected.update(part)
    assert writer.communicate(timeout=120)[0].strip() == b"OK"
    with cluster[1].connect(timeout=120) as reader:
        assert digest(reader.call("GET", "largest")) == expected.hexdigest()
    assert cluster[2].call("STRLEN", "largest", timeout=60) == 512 << 20
    assert cluster[2].call("DEL", "largest", timeout=60) == 1
    for node in cluster:
        assert "silent" not in node.output() and "is down" not in node.output()
