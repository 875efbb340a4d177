"""What a Redis operator sees: redis-cli's modes against a node and a cluster, SLOWLOG, MONITOR, DEBUG."""

import re
import signal
import subprocess
import time

import pytest

from processes import wait_until
from wire import ServerError

WITHIN = 60


@pytest.fixture(params=["one node", "three nodes"])
def any_node(request):
    """A node that answers for everything: alone, or the second one of a cluster."""
    if request.param == "one node":
        return request.getfixturevalue("node")
    return request.getfixturevalue("cluster")[1]


def run(node, *arguments, seconds=WITHIN):
    finished = subprocess.run(
        ["redis-cli", "-p", str(node.port), *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    assert finished.returncode == 0, finished
    assert finished.stderr == b"", finished
    return finished.stdout.decode()


def output_for(node, seconds, *arguments):
    """What a redis-cli that does not end by itself prints in that time."""
    process = subprocess.Popen(
        ["stdbuf", "-oL", "redis-cli", "-p", str(node.port), *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    time.sleep(seconds)
    # Not SIGINT, which is ignored below a shell that has put the tests into the background.
    process.terminate()
    return process.communicate(timeout=WITHIN)[0]


def fill(node, count=300):
    with node.client() as client:
        client.mset({f"key-{i}": "x" * (i + 1) for i in range(count)})


def test_scan_bigkeys_and_memkeys_see_every_key(any_node):
    fill(any_node)
    assert len(set(run(any_node, "--scan").split())) == 300
    big = run(any_node, "--bigkeys")
    assert "Sampled 300 keys in the keyspace!" in big
    assert """Biggest string found '"key-299"' has 300 bytes""" in big
    memory = run(any_node, "--memkeys")
    assert "Sampled 300 keys in the keyspace!" in memory
    assert re.search(r"""Biggest string found '"key-2\d\d"' has \d+ bytes""", memory)


def test_stat_counts_requests(any_node):
    fill(any_node)
    text = output_for(any_node, 1.5, "--stat", "-i", "0.2")
    rows = re.findall(r"^(\d+) +([\d.]+[BKMG]) +(\d+) +(\d+) +(\d+) \(\+(\d+)\)", text, re.MULTILINE)
    assert len(rows) >= 2, text
    keys = {int(row[0]) for row in rows}
    assert len(keys) == 1 and keys.pop() > 0
    assert int(rows[-1][4]) > int(rows[0][4])


def test_latency_and_its_history(any_node):
    assert float(run(any_node, "--latency", "-i", "1", "--raw").split()[0]) >= 0
    text = output_for(any_node, 2.5, "--latency-history", "-i", "1")
    rows = re.findall(r"^(\d+) (\d+) ([\d.]+) (\d+)$", text, re.MULTILINE)
    assert rows, text
    assert all(int(row[0]) <= float(row[2]) <= int(row[1]) for row in rows)


def test_hotkeys_finds_the_hot_one(any_node):
    nodes = any_node
    fill(nodes, 20)
    with nodes.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        try:
            for _ in range(3000):
                client.get("key-7")
            text = run(nodes, "--hotkeys")
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "hot key found with counter" in text
    assert re.search(r"""hot key found with counter: \d+\s+keyname: "?key-7"?""", text), text


def test_info_of_a_working_node_tells_percentiles_and_errors(any_node):
    with any_node.client() as client:
        client.config_resetstat()
        for number in range(50):
            client.get(f"key-{number}")
        with pytest.raises(Exception):
            client.execute_command("GET")
        text = client.execute_command("INFO", "everything")
    if isinstance(text, dict):
        assert text["cmdstat_get"]["calls"] == 50
        assert text["cmdstat_get"]["rejected_calls"] == 1
        assert text["cmdstat_get"]["usec"] > 0
        assert text["latency_percentiles_usec_get"]["p50"] > 0
        assert text["errorstat_ERR"]["count"] == 1
    else:
        assert re.search(r"cmdstat_get:calls=50,usec=[1-9]", text)


def test_slowlog_shows_a_slow_quorum(make_cluster):
    cluster = make_cluster(3, ["--keyspace.default.w", "3", "--keyspace.default.sloppy", "no"])
    cluster[0].call("CONFIG", "SET", "operation-timeout", "400")
    cluster[2].signal(signal.SIGSTOP)
    try:
        with pytest.raises(ServerError):
            for number in range(4):
                cluster[0].call("SET", f"slow-{number}", "value")
    finally:
        cluster[2].signal(signal.SIGCONT)
    slow = [entry for entry in cluster[0].call("SLOWLOG", "GET", "-1") if entry[3][0] == b"SET"]
    assert slow, cluster[0].call("SLOWLOG", "GET")
    _, _, microseconds, words, address, _ = slow[0]
    assert microseconds >= 100_000
    assert words[1].startswith(b"slow-") and words[2] == b"value"
    assert address.startswith(b"127.0.0.1:")


def test_monitor_shows_commands_of_this_node(any_node):
    process = subprocess.Popen(
        ["redis-cli", "-p", str(any_node.port), "MONITOR"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "OK\n"
        any_node.call("SET", "watched", "a b")
        line = process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=WITHIN)
    assert re.fullmatch(
        r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "watched" "a b"\n', line), line


def test_a_monitor_that_does_not_read_is_closed(make_node):
    node = make_node()
    node.start_and_wait()
    with node.connect() as monitor, node.connect() as client:
        assert monitor.call("MONITOR") == b"OK"
        # 16 MiB in the node and what the kernel takes on both sides.
        for _ in range(400):
            client.call("SET", "big", b"x" * 200_000)
            if b"flags=O" not in client.call("CLIENT", "LIST"):
                break
        assert b"flags=O" not in client.call("CLIENT", "LIST")
    assert "monitors and does not read" in node.output()


def test_debug_sleep_stops_the_process_and_is_in_the_slowlog(make_node):
    node = make_node("--enable-debug-command", "local")
    node.start_and_wait()
    node.call("CONFIG", "SET", "latency-monitor-threshold", "50")
    with node.connect() as sleeper, node.connect() as other:
        sleeper.send(b"*3\r\n$5\r\nDEBUG\r\n$5\r\nSLEEP\r\n$3\r\n0.3\r\n")
        time.sleep(0.05)
        begin = time.monotonic()
        assert other.call("PING") == b"PONG"
        assert time.monotonic() - begin > 0.1
        assert sleeper.read_reply().value == b"OK"
    assert node.call("SLOWLOG", "GET", "1")[0][2] >= 300_000
    assert [row[0] for row in node.call("LATENCY", "LATEST")][0] == b"command"
    assert b"command" in node.call("LATENCY", "DOCTOR")
    assert b"command - high" in node.call("LATENCY", "GRAPH", "command")


def test_set_active_expire_leaves_dead_keys_in_memory(make_node):
    node = make_node("--enable-debug-command", "yes")
    node.start_and_wait()
    assert node.call("DEBUG", "SET-ACTIVE-EXPIRE", "0") == b"OK"
    for number in range(20):
        node.call("SET", f"key-{number}", "x", "PX", "1")
    time.sleep(2.5)
    assert node.info("stats")["expired_keys"] == "0"
    assert node.call("DEBUG", "SET-ACTIVE-EXPIRE", "1") == b"OK"
    wait_until(lambda: node.info("stats")["expired_keys"] == "20", 10, "the keys go")


def test_a_paused_client_costs_no_processor_time(make_node):
    node = make_node()
    node.start_and_wait()

    def processor_seconds():
        fields = open(f"/proc/{node.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    with node.connect() as pausing, node.connect() as writer:
        pausing.call("CLIENT", "PAUSE", "2000", "WRITE")
        writer.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n" * 1000)
        before, begin = processor_seconds(), time.monotonic()
        time.sleep(1)
        assert processor_seconds() - before < 0.1
        for _ in range(1000):
            assert writer.read_reply(timeout=10).value == b"OK"
        assert time.monotonic() - begin > 1
