"""Fixtures: one node, a three-node cluster, and makers for tests that break what they use."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from processes import Cluster, Node, ServerProcess, quorum_arguments, server_program  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def the_server_is_built():
    """Says what is missing once, instead of failing at every test's start."""
    if not server_program().exists():
        pytest.exit(f"{server_program()} does not exist: build it or set COTERIE_SERVER", 2)


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node"))
    try:
        yield node.start_and_wait()
    finally:
        node.end()


@pytest.fixture
def node(shared_node):
    """One lone node, empty, shared by the tests of a file."""
    shared_node.call("FLUSHALL")
    yield shared_node
    assert shared_node.is_running(), f"the node died:\n{shared_node.output()[-4000:]}"


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), arguments=quorum_arguments(3, 2, 2))
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture
def cluster(shared_cluster):
    """Three nodes with N=3, W=R=2, empty, shared by the tests of a file that leave them alive."""
    shared_cluster.flush()
    yield shared_cluster
    for node in shared_cluster:
        assert node.is_running(), f"node {node.port} died:\n{node.output()[-4000:]}"


@pytest.fixture
def make_cluster(tmp_path):
    """Starts a cluster for one test, which may do with it what it likes."""
    clusters = []

    def make(size=3, arguments=()):
        clusters.append(Cluster(tmp_path / f"cluster-{len(clusters)}", size, arguments))
        return clusters[-1].start()

    yield make
    for cluster in clusters:
        cluster.end()


@pytest.fixture
def make_node(tmp_path):
    """Makes a node for one test; the test starts it."""
    nodes = []

    def make(*arguments, **options):
        nodes.append(Node(tmp_path / f"node-{len(nodes)}", *arguments, **options))
        return nodes[-1]

    yield make
    for node in nodes:
        node.end()


@pytest.fixture
def run_program(tmp_path):
    """Starts the program with any command line and ends it after the test."""
    started = []

    def run(*arguments):
        started.append(ServerProcess(arguments, tmp_path / f"run-{len(started)}"))
        return started[-1].start()

    yield run
    for process in started:
        process.end()
