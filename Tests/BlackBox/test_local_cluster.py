"""`--local-cluster 3`: the README's first command."""

import os
import signal
from pathlib import Path

import pytest

from processes import Node, STARTS_WITHIN, ServerProcess, free_ports, wait_until


class LocalCluster(ServerProcess):
    """The parent process, and a view of each node that it started."""

    def __init__(self, directory):
        ports = free_ports(3)
        arguments = ["--local-cluster", "3", "--port", ports[0], "--dir", directory]
        super().__init__(arguments, directory)
        self.nodes = [Node(Path(directory) / f"view-{port}", port=port) for port in ports]

    def start_and_wait(self):
        self.start()
        for node in self.nodes:
            wait_until(self._answers(node), STARTS_WITHIN, f"node {node.port} knows 3 nodes")
        return self

    def _answers(self, node):
        def check():
            assert self.is_running(), f"the parent ended:\n{self.output()[-4000:]}"
            return node.knows_a_complete_cluster_of(3)
        return check

    def process_id_of(self, node):
        """The id of a node's process, after a look that it is a child of ours."""
        process_id = int(node.info("server")["process_id"])
        status = Path(f"/proc/{process_id}/status").read_text()
        assert f"PPid:\t{self.pid}\n" in status, f"{process_id} is no child of {self.pid}"
        return process_id


@pytest.fixture
def local_cluster(tmp_path):
    cluster = LocalCluster(tmp_path)
    try:
        yield cluster.start_and_wait()
    finally:
        cluster.end()


def test_one_command_starts_three_nodes_that_are_one_cache(local_cluster):
    first, second, third = local_cluster.nodes
    for number in range(100):
        first.call("SET", f"key-{number}", number)
    for number in range(100):
        assert second.call("GET", f"key-{number}") == b"%d" % number
        assert third.call("GET", f"key-{number}") == b"%d" % number


def test_ctrl_c_ends_all_of_them(local_cluster):
    children = [local_cluster.process_id_of(node) for node in local_cluster.nodes]
    local_cluster.signal(signal.SIGINT)
    assert local_cluster.exit_status(15) == 0
    for child in children:
        wait_until(lambda: not Path(f"/proc/{child}").exists(), 5, f"child {child} has ended")
    assert not any(node.answers() for node in local_cluster.nodes)


def test_sigterm_to_the_parent_ends_all_of_them(local_cluster):
    children = [local_cluster.process_id_of(node) for node in local_cluster.nodes]
    assert local_cluster.terminate() == 0
    for child in children:
        wait_until(lambda: not Path(f"/proc/{child}").exists(), 5, f"child {child} has ended")


def test_no_child_outlives_a_parent_that_was_killed(local_cluster):
    children = [local_cluster.process_id_of(node) for node in local_cluster.nodes]
    local_cluster.kill()
    for child in children:
        wait_until(lambda: not Path(f"/proc/{child}").exists(), 10, f"child {child} has ended")


def test_the_death_of_a_child_is_reported_and_the_others_go_on(local_cluster):
    victim = local_cluster.nodes[2]
    child = local_cluster.process_id_of(victim)
    before = len(local_cluster.output())
    os.kill(child, signal.SIGKILL)

    def is_reported():
        news = local_cluster.output()[before:]
        return str(victim.port) in news or str(child) in news

    wait_until(is_reported, 5, f"the death of {child} on port {victim.port} is reported")
    assert local_cluster.is_running()
    assert local_cluster.nodes[0].answers() and local_cluster.nodes[1].answers()
