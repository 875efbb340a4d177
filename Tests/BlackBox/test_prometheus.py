"""Debian's Prometheus and its Redis exporter with real nodes."""

import json
import re
import urllib.error
import urllib.request

import pytest

from processes import Cluster, ServerProcess, free_ports, wait_until
from scraping import ALERTS, metered, samples


def fetch(url):
    """The body, or nothing while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


@pytest.fixture
def run_tool(tmp_path):
    """Starts a program and ends it after the test."""
    started = []

    def run(program, *arguments):
        directory = tmp_path / f"{program}-{len(started)}"
        started.append(ServerProcess(arguments, directory, program=program))
        return started[-1].start()

    yield run
    for process in started:
        process.end()


def prometheus_configuration(directory, nodes):
    """The alerts of conf/, with every `for` shortened to a second."""
    rules = re.sub(r"for: \w+", "for: 1s", ALERTS.read_text())
    (directory / "alerts.yml").write_text(rules)
    targets = ", ".join(f'"127.0.0.1:{node.metrics_port}"' for node in nodes)
    (directory / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s}\n"
        "rule_files: [alerts.yml]\n"
        "scrape_configs:\n"
        "  - job_name: coterie\n"
        f"    static_configs: [{{targets: [{targets}]}}]\n")
    return directory / "prometheus.yml"


def test_prometheus_fires_the_alerts_of_a_dead_node(tmp_path, run_tool):
    cluster = Cluster(tmp_path / "cluster")
    metered(*cluster)
    try:
        cluster.start()
        port = free_ports(1)[0]
        server = run_tool(
            "prometheus", f"--config.file={prometheus_configuration(tmp_path, cluster)}",
            f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}")

        def query(path):
            assert server.is_running(), server.output()[-3000:]
            body = fetch(f"http://127.0.0.1:{port}/api/v1/{path}")
            return json.loads(body)["data"] if body else None

        def firing():
            alerts = (query("alerts") or {"alerts": []})["alerts"]
            return {
                (alert["labels"]["alertname"], alert["labels"]["instance"])
                for alert in alerts if alert["state"] == "firing"}

        def ready_nodes():
            found = query("query?query=sum(coterie_ready)%2Bsum(up)")
            return found and found["result"] and found["result"][0]["value"][1] == "6"

        wait_until(ready_nodes, 20, "Prometheus has scraped three ready nodes")
        assert firing() == set()
        dead, other = cluster[2], cluster[0]
        dead.kill()
        expected = {
            ("CoterieNodeDown", f"127.0.0.1:{dead.metrics_port}"),
            ("CoterieMemberDown", f"127.0.0.1:{other.metrics_port}"),
            ("CoterieQuorumAtRisk", f"127.0.0.1:{other.metrics_port}"),
        }
        wait_until(lambda: expected <= firing(), 20, "the alerts of a dead node")
        assert not any(name == "CoterieNoQuorum" for name, _ in firing())
    finally:
        cluster.end()


@pytest.mark.parametrize("password", [None, "secret"])
def test_the_redis_exporter_reads_a_node(make_node, run_tool, password):
    node = make_node(*(["--requirepass", password] if password else []))
    node.start()
    wait_until(lambda: b"PONG" in ping(node) or b"NOAUTH" in ping(node), 15, "it answers")
    client = node.client(password=password)
    for number in range(20):
        client.set(f"key:{number}", "x", ex=1000 if number < 5 else None)
        client.get(f"key:{number}")
    client.get("absent")
    port = free_ports(1)[0]
    exporter = run_tool(
        "prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{node.port}",
        "-web.listen-address", f"127.0.0.1:{port}",
        *(["-redis.password", password] if password else []))
    text = wait_until(lambda: fetch(f"http://127.0.0.1:{port}/metrics"), 15, "it serves metrics")
    found = samples(text)
    assert found["redis_up"] == 1, exporter.output()[-3000:]
    assert found['redis_exporter_last_scrape_error{err=""}'] == 0
    assert found["redis_memory_used_bytes"] > 1000
    assert found["redis_memory_used_rss_bytes"] > 1_000_000
    assert found["redis_connected_clients"] >= 2
    assert found['redis_commands_total{cmd="get"}'] == 21
    assert found['redis_commands_total{cmd="set"}'] == 20
    assert found["redis_commands_processed_total"] > 40
    assert found['redis_db_keys{db="db0"}'] == 20
    assert found['redis_db_keys_expiring{db="db0"}'] == 5
    assert found["redis_keyspace_hits_total"] == 20
    assert found["redis_keyspace_misses_total"] == 1
    assert found["redis_uptime_in_seconds"] >= 0
    assert found["redis_config_maxclients"] == 10000
    assert found["redis_memory_max_bytes"] == 0
    assert found["redis_slowlog_length"] >= 0
    assert any(name.startswith("redis_instance_info{") for name in found)


def ping(node):
    try:
        return str(node.answer("PING", timeout=1)).encode()
    except OSError:
        return b""
