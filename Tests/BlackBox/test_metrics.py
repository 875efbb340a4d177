"""The metrics port: what it says, that tools take it, and what strangers can do there."""

import json
import os
import socket
import time

import pytest

from processes import Cluster, Node, free_ports, wait_until
from scraping import (
    ALERTS, ALERTS_TEST, DASHBOARD, get, metered, names_of, names_used, promtool, samples, scrape)


@pytest.fixture(scope="module")
def lone(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("lone"))
    metered(node)
    try:
        yield node.start_and_wait()
        assert node.is_running(), node.output()[-4000:]
    finally:
        node.end()


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("trio"))
    metered(*cluster)
    try:
        yield cluster.start()
    finally:
        cluster.end()


def operation(name, status):
    return f'coterie_operations_total{{operation="{name}",status="{status}"}}'


def descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def resident(node):
    with open(f"/proc/{node.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:"))


def exchange(node, request, timeout=3):
    """Raw bytes there, and all that comes back until the other side closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", node.metrics_port), timeout) as connection:
        try:
            connection.sendall(request)
            while True:
                bytes = connection.recv(65536)
                if not bytes:
                    return answer
                answer += bytes
        except ConnectionError:
            return answer


# What it says


def test_what_a_lone_node_counts(lone):
    client = lone.client()
    before = scrape(lone)
    for number in range(50):
        client.set(f"key:{number}", "x" * 1000)
        client.get(f"key:{number}")
    with pytest.raises(Exception, match="integer"):
        client.incr("key:1")
    after = scrape(lone)
    grown = lambda name: after[name] - before[name]
    assert grown(operation("write", "ok")) == 50
    assert grown(operation("read", "ok")) == 50
    assert grown(operation("modify", "error")) == 1
    assert grown('coterie_operation_duration_seconds_count{operation="read"}') == 50
    assert grown('coterie_operation_duration_seconds_sum{operation="read"}') > 0
    assert grown("coterie_tick_duration_seconds_count") >= 100
    assert grown("coterie_tick_duration_seconds_sum") > 0
    assert after['coterie_keys{db="0"}'] == 50
    assert after['coterie_memory_bytes{kind="dataset"}'] >= 50_000
    assert after["coterie_clients"] >= 1
    assert after["process_resident_memory_bytes"] == pytest.approx(resident(lone), rel=0.2)
    assert after["process_cpu_seconds_total"] > 0
    assert after["process_start_time_seconds"] == pytest.approx(time.time(), abs=600)
    kinds = sum(v for k, v in after.items() if k.startswith("coterie_memory_bytes"))
    assert after["coterie_memory_used_bytes"] == pytest.approx(kinds, rel=0.05)


def test_promtool_has_nothing_to_say(lone, trio):
    for node in [lone, trio[0]]:
        status, headers, body = get(node, "/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        checked = promtool("check", "metrics", input=body)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_rules_and_dashboard_name_what_exists(trio):
    wait_until(
        lambda: any("replication_lag" in name for name in scrape(trio[0])), 30,
        "the first comparison of two nodes has ended")
    names = names_of(get(trio[0], "/metrics")[2])
    # A histogram is also spoken of by the name that its three kinds of samples have in common.
    names |= {name.removesuffix("_bucket") for name in names}
    with open(DASHBOARD) as file:
        dashboard = json.load(file)
    shown = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(shown) > 20
    for text in [ALERTS.read_text(), *shown]:
        assert names_used(text) <= names, names_used(text) - names
    # No two panels in one place, and every id once.
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({p["id"] for p in dashboard["panels"]})


def test_promtool_takes_the_rules_and_fires_each():
    checked = promtool("check", "rules", ALERTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", ALERTS_TEST)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = ALERTS_TEST.read_text()
    alerts = [
        line.split()[-1] for line in ALERTS.read_text().splitlines() if "- alert:" in line]
    assert len(alerts) > 15
    for alert in alerts:
        assert f"- name: {alert}\n" in cases, f"no case fires {alert}"


# Health


def test_health_and_readiness_of_a_lone_node(lone):
    assert get(lone, "/health")[::2] == (200, "ok\n")
    assert get(lone, "/ready")[::2] == (200, "ready\n")
    assert get(lone, "/ready?verbose=1")[0] == 200
    assert get(lone, "/")[0] == 404
    assert get(lone, "/metrics/x")[0] == 404
    assert get(lone, "/health", method="HEAD")[::2] == (200, "")


def test_a_node_that_looks_for_its_seeds_is_not_ready(make_node):
    node = make_node("--cluster-seeds", f"127.0.0.1:{free_ports(1)[0]}")
    metered(node)
    node.start()
    status, _, body = wait_until(lambda: attempt(node, "/ready"), 10, "it answers")
    assert (status, body) == (503, "not ready: the node has not met its cluster yet\n")
    assert get(node, "/health")[0] == 200
    wait_until(lambda: get(node, "/ready")[0] == 200, 10, "it goes on alone")


def attempt(node, path):
    try:
        return get(node, path)
    except OSError:
        return None


def test_without_others_a_node_is_not_ready(tmp_path):
    cluster = Cluster(tmp_path)
    metered(*cluster)
    try:
        cluster.start()
        assert get(cluster[0], "/ready")[0] == 200
        cluster[1].kill()
        wait_until(
            lambda: scrape(cluster[0])["coterie_cluster_members_alive"] == 2, 10, "one is missed")
        assert get(cluster[0], "/ready")[0] == 200
        cluster[2].kill()
        wait_until(lambda: get(cluster[0], "/ready")[0] == 503, 10, "two are missed")
        body = get(cluster[0], "/ready")[2]
        assert body == "not ready: no quorum: 1 of 3 members are alive\n"
        client = cluster[0].client()
        with pytest.raises(Exception, match="NOQUORUM|NOREPLICAS"):
            client.set("a", "1")
        failed = scrape(cluster[0])
        failures = failed[operation("write", "no_quorum")]
        failures += failed[operation("write", "no_replicas")]
        assert failures == 1
    finally:
        cluster.end()


def test_there_is_no_port_unless_asked_for_and_then_on_the_loopback(lone, make_node):
    node = make_node().start_and_wait()
    assert node.call("CONFIG", "GET", "metrics-port") == [b"metrics-port", b"0"]
    assert listening(node) == {("127.0.0.1", node.port), ("127.0.0.1", node.peer_port)}
    assert ("127.0.0.1", lone.metrics_port) in listening(lone)


def listening(node):
    """Addresses that the process listens on, as the kernel says."""
    inodes = set()
    for name in os.listdir(f"/proc/{node.pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{node.pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    found = set()
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                host, port = words[1].split(":")
                address = socket.inet_ntoa(bytes.fromhex(host)[::-1])
                found.add((address, int(port, 16)))
    return found


def test_a_port_that_is_taken_stops_the_start(make_node, lone):
    node = make_node("--metrics-port", lone.metrics_port).start()
    assert node.exit_status() == 1
    assert f"metrics-port: listening on 127.0.0.1:{lone.metrics_port}" in node.output()


# Strangers


def test_what_is_no_request_for_metrics_is_refused(lone):
    first = lambda answer: answer.split(b"\r\n")[0]
    assert first(exchange(lone, b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n")) in (
        b"HTTP/1.1 501 Not Implemented", b"HTTP/1.1 405 Method Not Allowed")
    big = b"POST /metrics HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000
    assert b" 200 " not in first(exchange(lone, big))
    body = b"GET /health HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    assert b" 200 " not in first(exchange(lone, body))
    chunked = b"GET /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 50
    assert b" 200 " not in first(exchange(lone, chunked))
    for garbage in [os.urandom(5000), b"\0" * 5000, b"*1\r\n$4\r\nPING\r\n", b"\r\n" * 5000]:
        assert b" 200 " not in first(exchange(lone, garbage, timeout=8))
    for head in [b"X: " + b"y" * 50_000_000, b"X: y\r\n" * 5_000_000]:
        before = resident(lone)
        assert b" 200 " not in first(exchange(lone, b"GET /health HTTP/1.1\r\n" + head))
        assert resident(lone) < before + (8 << 20)
    # One connection, one request.
    two = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2
    assert exchange(lone, two).count(b"HTTP/1.1 200 OK") == 1
    assert get(lone, "/health")[0] == 200


def test_strangers_that_hold_connections_are_in_nobodys_way(lone):
    """200 that say nothing, and 20 that say a byte at a time or never read."""
    before = descriptors(lone)
    resident_before = resident(lone)
    dropped = scrape(lone)["coterie_http_connections_dropped_total"]
    idle = [socket.create_connection(("127.0.0.1", lone.metrics_port)) for _ in range(200)]
    slow = [socket.create_connection(("127.0.0.1", lone.metrics_port)) for _ in range(10)]
    deaf = [socket.create_connection(("127.0.0.1", lone.metrics_port)) for _ in range(10)]
    for connection in deaf:
        connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    begin = time.monotonic()
    ends = {}
    client = lone.client()
    while len(ends) < len(slow):
        assert time.monotonic() - begin < 14, f"{len(slow) - len(ends)} slow ones are still there"
        started = time.monotonic()
        status, _, text = get(lone, "/metrics")
        assert status == 200 and time.monotonic() - started < 0.5
        started = time.monotonic()
        client.ping()
        assert time.monotonic() - started < 0.2
        assert descriptors(lone) <= before + 32 + 8
        for number, connection in enumerate(slow):
            if number not in ends and not goes_on(connection):
                ends[number] = time.monotonic() - begin
        time.sleep(0.5)
    # Their bytes keep them from being silent for 5 s, and still they go.
    assert max(ends.values()) > 8
    wait_until(lambda: descriptors(lone) <= before + 2, 8, "all connections are closed")
    assert resident(lone) < resident_before + (8 << 20)
    assert samples(text)["coterie_http_connections_dropped_total"] >= dropped + 170
    for connection in idle + slow + deaf:
        connection.close()


def goes_on(connection):
    """Sends one more byte of a request that never ends; false when the other side has closed."""
    connection.setblocking(False)
    try:
        connection.sendall(b"G")
        return connection.recv(100) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
