"""The load: clients that write, read and keep book of what they were promised.

A value of a siblings key has to be kept when it was acknowledged and no context that any write
carried covered it: the bookkeeping of `SiblingHistory` in Sources/Simulation/History.swift. Keys
are of two kinds. Hot keys are written again and again by all clients, so that contexts race. A cold
key is written once: after that only refill, hints and anti-entropy keep its copies alive.
"""

import random
import threading
import time
from array import array
from collections import defaultdict
from dataclasses import dataclass, field

from nodes import UNREACHABLE, HostConnection
from plan import CLIENT_TIMEOUT, COMMANDS_A_SECOND
from wire import NoReply, ServerError

HOT_KEYS = 200
NOTHING_SEEN = b""
# Far below the cap of 100 at which a set is resolved to one value, which would look like a loss.
MANY_SIBLINGS = 30
PADDING = "." * 64


@dataclass
class Record:
    """A command that got no good answer."""

    start: float
    end: float
    host: str
    word: str
    is_read: bool
    key: str
    text: str

    @property
    def is_reply(self):
        return self.word not in ("TIMEOUT", "CLOSED")


@dataclass
class Book:
    """What one client was promised and what it took back. Merged with the others at the end."""

    acknowledged: dict = field(default_factory=lambda: defaultdict(set))
    covered: dict = field(default_factory=lambda: defaultdict(set))
    registers: dict = field(default_factory=lambda: defaultdict(set))
    sibling_keys: set = field(default_factory=set)

    def merge(self, other):
        for mine, theirs in ((self.acknowledged, other.acknowledged),
                             (self.covered, other.covered), (self.registers, other.registers)):
            for key, values in theirs.items():
                mine[key] |= values
        self.sibling_keys |= other.sibling_keys

    def kept(self, key):
        """The values that a read of the key has to show."""
        return self.acknowledged.get(key, set()) - self.covered.get(key, set())

    def lost(self, key, found):
        return self.kept(key) - found


class Client:
    """One thread and one connection, tied to one node as long as that node answers."""

    def __init__(self, number, seed, load):
        self.name = f"c{number}"
        self.number = number
        self.load = load
        self.random = random.Random(f"{seed} client {number}")
        self.book = Book()
        self.records = []
        self.starts = array("d")
        self.ends = array("d")
        self.seen = {}
        self.written = 0
        self.connection = None
        self.host = None
        self.round = -1
        self.failure = None

    def run(self):
        try:
            self._run()
        except Exception as failure:
            self.failure = failure

    def _run(self):
        pause = self.load.clients / COMMANDS_A_SECOND
        due = time.monotonic()
        while not self.load.has_ended.is_set():
            if self._is_connected():
                self._step()
            due = max(due + pause, time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))

    # Where to

    def _is_connected(self):
        """Connects if need be; goes home whenever the cluster is whole again."""
        if self.round != self.load.round:
            self.round = self.load.round
            hosts = self.load.hosts
            self._move(hosts[self.number % len(hosts)])
        if self.connection is None:
            try:
                self.connection = HostConnection(self.host, CLIENT_TIMEOUT)
            except OSError:
                self._move_elsewhere()
                return False
        return True

    def _move(self, host):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
        self.host = host

    def _move_elsewhere(self):
        self._move(self.random.choice([host for host in self.load.hosts if host != self.host]))

    # What

    def _step(self):
        draw = self.random.random()
        if draw < 0.30:
            self._read(self._hot("sib"))
        elif draw < 0.58:
            self._add(self._hot("sib"))
        elif draw < 0.60:
            self._write("VSET", self._cold("sib"), NOTHING_SEEN)
        elif draw < 0.98:
            self._write("SET", self._hot("lww"))
        else:
            self._write("SET", self._cold("lww"))

    def _hot(self, keyspace):
        return f"{keyspace}:hot:{self.random.randrange(HOT_KEYS)}"

    def _cold(self, keyspace):
        return f"{keyspace}:cold:{self.name}:{self.written}"

    def _read(self, key):
        reply = self._ask("VGET", key)
        if reply is not None:
            self.seen[key] = (reply[1], reply[3])

    def _add(self, key):
        token, values = self.seen.get(key, (NOTHING_SEEN, ()))
        if len(values) <= MANY_SIBLINGS and self.random.random() < 0.3:
            token, values = NOTHING_SEEN, ()
        # Before it is sent: a write without an answer may have covered them all the same.
        self.book.covered[key].update(values)
        self._write("VSET", key, token)

    def _write(self, command, key, token=None):
        self.written += 1
        value = f"{self.name}-{self.written}{PADDING}".encode()
        if token is None:
            self.book.registers[key].add(value)
            if self._ask(command, key, value) is not None:
                self.book.acknowledged[key].add(value)
            return
        self.book.sibling_keys.add(key)
        if self._ask(command, key, value, "CONTEXT", token) is not None:
            self.book.acknowledged[key].add(value)

    def _ask(self, *words):
        """The reply, or None for a failure, which is noted."""
        start = time.monotonic()
        try:
            value = self.connection.ask(*words).value
        except UNREACHABLE as error:
            is_late = isinstance(error, (NoReply, TimeoutError))
            self._note(start, "TIMEOUT" if is_late else "CLOSED", words, error)
            self._move_elsewhere()
            return None
        if isinstance(value, ServerError):
            self._note(start, value.word, words, value)
            return None
        self.starts.append(start)
        self.ends.append(time.monotonic())
        return value

    def _note(self, start, word, words, text):
        self.starts.append(start)
        self.ends.append(time.monotonic())
        self.records.append(Record(start, self.ends[-1], self.host, word, words[0] == "VGET",
                                   words[1], f"{words[0]} {words[1]}: {text}"))


class Load:
    """All clients. `hosts` and `round` tell them where nodes are and when to go home."""

    def __init__(self, clients, seed, hosts):
        self.clients = clients
        self.hosts = list(hosts)
        self.round = 0
        self.has_ended = threading.Event()
        self.all = [Client(number, seed, self) for number in range(clients)]
        self.threads = [threading.Thread(target=client.run, daemon=True) for client in self.all]

    def start(self):
        for thread in self.threads:
            thread.start()

    def send_home(self, hosts):
        """Every client connects anew, to the node that is its own among these."""
        self.hosts = list(hosts)
        self.round += 1

    def end(self):
        self.has_ended.set()
        for thread in self.threads:
            thread.join(4 * CLIENT_TIMEOUT)

    def failures(self):
        """Clients that stopped though nobody told them to: the run proves nothing then."""
        return [f"{client.name}: {client.failure!r}" for client in self.all if client.failure] + [
            f"{client.name} hangs" for client, thread in zip(self.all, self.threads)
            if self.has_ended.is_set() and thread.is_alive()]

    def book(self):
        merged = Book()
        for client in self.all:
            merged.merge(client.book)
        return merged

    def records(self):
        records = [record for client in self.all for record in client.records]
        return sorted(records, key=lambda record: record.end)
