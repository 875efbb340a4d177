"""The nodes of the run: real processes, each at its own place in the network."""

import re
import signal
import socket
import time
from pathlib import Path

from processes import STARTS_WITHIN, ServerProcess, wait_until
from wire import Connection, ConnectionClosed, NoReply, ServerError, encode_command

PORT = 7000
UNREACHABLE = (OSError, ConnectionClosed, NoReply)
BAD_LINE = re.compile(r"Fatal error|Crash|invariant", re.IGNORECASE)
BATCH = 500


class HostConnection(Connection):
    """A connection to another address than this machine's own."""

    def __init__(self, host, timeout):
        self.timeout = timeout
        self.socket = socket.create_connection((host, PORT), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._position = 0

    def answers(self, commands):
        """The values of many commands, some hundreds a round trip; errors are not raised."""
        values = []
        for start in range(0, len(commands), BATCH):
            batch = commands[start:start + BATCH]
            payload = b"".join(encode_command(*command) for command in batch)
            values += [reply.value for reply in self.pipeline(payload, len(batch), timeout=30)]
        return values


class Node(ServerProcess):
    """One server in its namespace; it keeps its place and its directory when it is restarted."""

    def __init__(self, network, index, seeds, directory):
        self.index = index
        self.host = network.host(index)
        directory = Path(directory) / f"node-{index + 1}"
        super().__init__(
            ["--port", PORT, "--bind", self.host, "--protected-mode", "no",
             "--cluster-announce-ip", self.host,
             "--cluster-seeds", ",".join(f"{host}:{PORT}" for host in seeds),
             "--node-name", self.name, "--dir", directory, "--ends-with-parent"], directory)
        self.command = network.command(index, self.command)
        self.is_stopped = False
        self.highest_resident = 0

    @property
    def name(self):
        return f"node-{self.index + 1}"

    def connect(self, timeout=10.0):
        return HostConnection(self.host, timeout)

    def call(self, *words, timeout=10.0):
        """One command on a connection of its own."""
        with self.connect(timeout) as connection:
            return connection.call(*words)

    def answers_ping(self):
        try:
            return self.call("PING", timeout=1.0) == b"PONG"
        except (*UNREACHABLE, ServerError):
            return False

    def info(self, timeout=2.0):
        lines = self.call("INFO", "coterie", timeout=timeout).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def listed_hosts(self):
        """The addresses in CLUSTER NODES."""
        lines = self.call("CLUSTER", "NODES", timeout=2.0).decode().splitlines()
        return {line.split()[1].split(":")[0] for line in lines}

    def stop(self):
        self.is_stopped = True
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.is_stopped = False
        self.signal(signal.SIGCONT)

    def end(self):
        if self.process is not None and self.is_stopped and self.process.poll() is None:
            self.go_on()
        super().end()

    def resident_bytes(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) << 10

    def bad_lines(self):
        if not self.output_path.exists():
            return []
        return [line for line in self.output().splitlines() if BAD_LINE.search(line)]


class Cluster:
    """The members, those that were members, and places for those to come."""

    def __init__(self, network, founders, places, directory):
        seeds = [network.host(index) for index in range(founders)]
        self.nodes = [Node(network, index, seeds, directory) for index in range(places)]
        self.members = self.nodes[:founders]

    def start(self):
        for node in self.members:
            node.start()
        for node in self.members:
            wait_until(lambda: node.answers_ping() or self._died(node), STARTS_WITHIN,
                       f"{node.name} answers")
        self.wait_until_healthy(STARTS_WITHIN)

    @staticmethod
    def _died(node):
        assert node.is_running(), f"{node.name} ended at its start:\n{node.output()[-2000:]}"
        return False

    def end(self):
        for node in self.nodes:
            node.end()

    def ailment(self):
        """Why the cluster is not healthy, or None: all members up, known to each other, filled."""
        for node in self.members:
            if not node.is_running():
                return f"{node.name} has ended with {node.process.returncode}"
            try:
                info = node.info()
            except (*UNREACHABLE, ServerError) as error:
                return f"{node.name} does not answer INFO: {error!r}"
            wanted = {"members": len(self.members), "members_alive": len(self.members), "filled": 1}
            for field, value in wanted.items():
                if info.get(field) != str(value):
                    return f"{node.name}: {field} is {info.get(field)}, not {value}"
        return None

    def wait_until_healthy(self, within):
        """Returns how long it took."""
        start = time.monotonic()
        while (ailment := self.ailment()) is not None:
            assert time.monotonic() < start + within, f"not healthy within {within} s: {ailment}"
            time.sleep(0.05)
        return time.monotonic() - start

    def owners(self):
        """For every slot the addresses of its owners, by CLUSTER SLOTS."""
        owners = {}
        for first, last, *nodes in self.members[0].call("CLUSTER", "SLOTS"):
            hosts = frozenset(node[0].decode() for node in nodes)
            owners.update(dict.fromkeys(range(first, last + 1), hosts))
        return owners

    def dead(self):
        """Members and newcomers that ended though nobody ended them, with their exit status."""
        return {node.name: node.process.returncode for node in self.members
                if node.process is None or node.process.poll() is not None}
