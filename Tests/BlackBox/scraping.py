"""Nodes with a metrics port, and what is read there."""

import http.client
import re
import subprocess
from pathlib import Path

from processes import REPOSITORY, free_ports

ALERTS = REPOSITORY / "conf" / "prometheus" / "alerts.yml"
ALERTS_TEST = REPOSITORY / "Tests" / "Prometheus" / "alerts_test.yml"
DASHBOARD = REPOSITORY / "conf" / "grafana" / "coterie.json"


def metered(*nodes):
    """Gives nodes that are not started yet a metrics port each."""
    taken = {port for node in nodes for port in (node.port, node.peer_port)}
    for node in nodes:
        port = next(port for port in free_ports(4 * len(nodes)) if port not in taken)
        taken.add(port)
        node.metrics_port = port
        node.command += ["--metrics-port", str(port)]


def get(node, path, method="GET", timeout=5, **options):
    """One request on a connection of its own: status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", node.metrics_port, timeout=timeout)
    try:
        connection.request(method, path, **options)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def samples(text):
    """The samples of a text of metrics: name with labels → number."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def scrape(node):
    status, _, body = get(node, "/metrics")
    assert status == 200
    return samples(body)


def names_used(text):
    """Every metric that rules or a dashboard speak of."""
    return set(re.findall(r"\b(?:coterie|process)_[a-z_]+\b", text))


def names_of(text):
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def promtool(*arguments, **options):
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, **options)
