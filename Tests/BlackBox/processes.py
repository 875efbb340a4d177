"""Real server processes for the tests: started on free ports, watched, and always ended.

A node's peer port is its client port + 10000, so a port is free only when both are. The ports lie
below Linux's ephemeral range, where no outgoing connection can take one between two starts.
"""

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

from wire import Connection, ConnectionClosed, NoReply, ServerError

REPOSITORY = Path(__file__).resolve().parents[2]
PEER_PORT_OFFSET = 10_000
CLIENT_PORTS = range(12_000, 22_000)
STARTS_WITHIN = 15.0
STOPS_WITHIN = 15.0


def server_program():
    """The coterie-server under test: $COTERIE_SERVER, else the release build of this repository."""
    default = REPOSITORY / ".build" / "release" / "coterie-server"
    return Path(os.environ.get("COTERIE_SERVER", default)).absolute()


def wait_until(condition, seconds, what):
    """Polls until `condition()` is true and returns its value; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def free_ports(count):
    """`count` consecutive client ports that are free together with their peer ports."""
    for _ in range(200):
        first = random.randrange(CLIENT_PORTS.start, CLIENT_PORTS.stop - count)
        candidates = range(first, first + count)
        if all(_is_free(port) and _is_free(port + PEER_PORT_OFFSET) for port in candidates):
            return list(candidates)
    raise AssertionError(f"no {count} consecutive free ports in {CLIENT_PORTS}")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class ServerProcess:
    """One process that the tests started, in a session of its own: its children end with it."""

    def __init__(self, arguments, directory, program=None):
        self.command = [str(program or server_program()), *map(str, arguments)]
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.output_path = self.directory / "output.log"
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        with open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def output(self):
        return self.output_path.read_text("utf-8", "replace")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def exit_status(self, within=STOPS_WITHIN):
        """The exit status, awaited for at most `within` seconds; negative for a signal."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            what = f"{self.command} has not ended within {within} s"
            raise AssertionError(f"{what}\n{self.output()[-4000:]}") from None

    def terminate(self, within=STOPS_WITHIN):
        self.signal(signal.SIGTERM)
        return self.exit_status(within)

    def kill(self):
        """What `kill -9` does: no goodbye to anyone."""
        self.signal(signal.SIGKILL)
        self.exit_status()

    def end(self):
        """For teardown: ends the process and whatever it started, whatever state they are in."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOPS_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOPS_WITHIN)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


class Node(ServerProcess):
    """One server process with a client port."""

    def __init__(self, directory, *arguments, port=None, program=None):
        self.port = port or free_ports(1)[0]
        super().__init__(["--port", self.port, "--dir", directory, *arguments], directory, program)

    @property
    def peer_port(self):
        return self.port + PEER_PORT_OFFSET

    def start(self):
        super().start()
        return self

    def start_and_wait(self):
        self.start()
        self.wait_until_it_answers()
        return self

    def connect(self, protocol=2, timeout=10.0):
        return Connection(self.port, protocol, timeout)

    def client(self, protocol=3, **options):
        """A redis-py client, which is what users have."""
        options.setdefault("socket_timeout", 10)
        return redis.Redis(port=self.port, protocol=protocol, **options)

    def call(self, *words, timeout=10.0):
        """One command on a connection of its own."""
        with self.connect(timeout=timeout) as connection:
            return connection.call(*words)

    def answer(self, *words, timeout=10.0):
        """One command on a connection of its own; an error is returned, not raised."""
        with self.connect(timeout=timeout) as connection:
            return connection.ask(*words).value

    def answers(self):
        try:
            return self.call("PING", timeout=1.0) == b"PONG"
        except (OSError, ConnectionClosed, NoReply, ServerError):
            return False

    def wait_until_it_answers(self):
        def answers_or_has_died():
            assert self.is_running(), f"{self.command} ended at the start:\n{self.output()[-4000:]}"
            return self.answers()

        wait_until(answers_or_has_died, STARTS_WITHIN, f"{self.command} answers PING")

    def cluster_info(self):
        """CLUSTER INFO as a dictionary."""
        return _fields(self.call("CLUSTER", "INFO"))

    def info(self, section="default"):
        """INFO as a dictionary."""
        return _fields(self.call("INFO", section))

    def knows_a_complete_cluster_of(self, size):
        try:
            info = self.cluster_info()
        except (OSError, ConnectionClosed, NoReply, ServerError):
            return False
        return info.get("cluster_state") == "ok" and info.get("cluster_known_nodes") == str(size)


def _fields(text):
    lines = text.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


class Cluster:
    """Several nodes that know each other through `--cluster-seeds`."""

    def __init__(self, directory, size=3, arguments=()):
        ports = free_ports(size)
        seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.nodes = [
            Node(Path(directory) / f"node-{port}", "--cluster-seeds", seeds, *arguments, port=port)
            for port in ports
        ]

    def __iter__(self):
        return iter(self.nodes)

    def __getitem__(self, index):
        return self.nodes[index]

    def __len__(self):
        return len(self.nodes)

    def start(self):
        for node in self.nodes:
            node.start()
        self.wait_until_complete()
        return self

    def wait_until_complete(self):
        """Waits until every node answers and counts every other node among its peers."""
        for node in self.nodes:
            node.wait_until_it_answers()
        for node in self.nodes:
            wait_until(
                lambda: node.knows_a_complete_cluster_of(len(self.nodes)), STARTS_WITHIN,
                f"node {node.port} knows all {len(self.nodes)} nodes\n{node.output()[-2000:]}")

    def flush(self):
        """An empty cache on every node, so that tests can share a cluster."""
        self.nodes[0].call("FLUSHALL")
        for node in self.nodes:
            wait_until(
                lambda: node.call("DBSIZE") == 0, 5, f"node {node.port} is empty after FLUSHALL")

    def end(self):
        for node in self.nodes:
            node.end()


def started(node, **login):
    """Starts a node that wants a login and waits until it takes it."""
    node.start()

    def answers():
        assert node.is_running(), node.output()
        try:
            with node.client(**login) as client:
                return client.ping()
        except redis.ConnectionError as failure:
            return isinstance(failure, redis.AuthenticationError)

    wait_until(answers, STARTS_WITHIN, f"{node.command} answers")
    return node


def quorum_arguments(n, w, r):
    """The command line that gives the default keyspace these N, W and R."""
    return ["--keyspace.default.n", n, "--keyspace.default.w", w, "--keyspace.default.r", r]
