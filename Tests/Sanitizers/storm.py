"""A storm: everything that goes wrong with connections, all at once, against a few nodes.

Workers draw events by seed and do them to whatever nodes are up. No reply is judged (other tests do
that): what counts is that no sanitizer and no invariant says a word, that the nodes still serve
afterwards, and that they end with status 0.

An event is a function of this file named `do_…`; `EVENTS` weighs them. One that needs what a server
may not have yet says so: `needs` is a parameter of CONFIG GET, and without it the event is left out.
TLS events stand ready in `storm_tls.py` in the same way.
"""

import collections
import random
import socket
import struct
import threading
import time

import pathsetup  # noqa: F401
import storm_tls
from processes import Cluster

WORKERS = 6
#: Connections that a worker leaves open to be killed, evicted or to grow too old.
LEFT_OPEN = 12
KEYS = [f"key:{number}".encode() for number in range(400)]
EVENTS = []


def event(weight, needs=None):
    """Lists the function below as an event."""

    def listed(function):
        EVENTS.append((function, weight, needs))
        return function

    return listed


def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Worker(threading.Thread):
    """Does events until the storm has had enough of them."""

    def __init__(self, storm, seed):
        super().__init__(daemon=True)
        self.storm = storm
        self.random = random.Random(seed)
        self.open = []

    def run(self):
        functions, weights = zip(*[(f, w) for f, w, _ in self.storm.events])
        while self.storm.goes_on():
            function = self.random.choices(functions, weights)[0]
            try:
                function(self)
            except OSError:
                pass  # the other side has closed, or its process is away: that is the weather
            self.storm.count(function.__name__)
        for connection in self.open:
            connection.close()

    def port(self):
        return self.random.choice(self.storm.ports)

    def connect(self, port=None, timeout=2.0):
        return socket.create_connection(("127.0.0.1", port or self.port()), timeout)

    def leave_open(self, connection):
        self.open.append(connection)
        if len(self.open) > LEFT_OPEN:
            self.open.pop(self.random.randrange(len(self.open))).close()

    def ask(self, *words, port=None):
        """One command on a connection of its own, and the first bytes of its reply."""
        with self.connect(port) as connection:
            connection.sendall(encode(*words))
            return connection.recv(65536)

    def key(self):
        return self.random.choice(KEYS)

    def command(self):
        draw, key = self.random.randrange(18), self.key()
        value = self.random.randbytes(self.random.choice((0, 8, 64, 700, 20_000)))
        return [
            ("SET", key, value), ("GET", key), ("SET", key, value, "PX", 200), ("DEL", key),
            ("INCR", key), ("APPEND", key, value), ("MGET", *KEYS[:20]), ("EXPIRE", key, 1),
            ("MSET", key, value, self.key(), value), ("SETRANGE", key, 300, value),
            ("GETSET", key, value), ("SCAN", 0, "COUNT", 50), ("DBSIZE",), ("KEYS", "key:1*"),
            ("INFO", "everything"), ("CLIENT", "LIST"), ("COMMAND", "DOCS"), ("NOSUCH", key),
        ][draw]


def close_hard(connection):
    """A reset in place of a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# Clients that behave, more or less.


@event(30)
def do_pipeline(worker):
    with worker.connect() as connection:
        commands = [worker.command() for _ in range(worker.random.randrange(1, 30))]
        connection.sendall(b"".join(encode(*command) for command in commands) + encode("PING"))
        received = b""
        while not received.endswith(b"+PONG\r\n"):
            piece = connection.recv(1 << 20)
            if not piece:
                return
            received = received[-16:] + piece


@event(10)
def do_leave_open(worker):
    connection = worker.connect()
    connection.sendall(encode(*worker.command()))
    worker.leave_open(connection)


@event(6)
def do_trickle(worker):
    """A request byte by byte."""
    with worker.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in encode("SET", worker.key(), b"slow"):
            connection.send(bytes([byte]))
        connection.recv(64)


# Clients that go in the middle.


@event(10)
def do_leave_in_a_request(worker):
    with worker.connect() as connection:
        bytes_ = b"".join(encode(*worker.command()) for _ in range(8))
        connection.sendall(bytes_[: worker.random.randrange(1, len(bytes_) + 1)])


@event(10)
def do_reset_before_replies(worker):
    connection = worker.connect()
    connection.sendall(b"".join(encode(*worker.command()) for _ in range(40)))
    if worker.random.random() < 0.5:
        connection.recv(100)
    close_hard(connection)


@event(6)
def do_half_close(worker):
    with worker.connect() as connection:
        connection.sendall(b"".join(encode(*worker.command()) for _ in range(10)))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass


@event(2)
def do_never_read(worker):
    """Replies that nobody fetches, until the server holds back."""
    connection = worker.connect()
    connection.settimeout(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        connection.sendall(encode("SET", "large", bytes(200_000)) + encode("GET", "large") * 200)
    finally:
        worker.leave_open(connection)


@event(3)
def do_huge_value(worker):
    with worker.connect(timeout=5) as connection:
        size = worker.random.choice((1 << 20, 3 << 20, (1 << 20) + 1))
        connection.sendall(encode("SET", f"huge:{worker.random.randrange(4)}", bytes(size)))
        if worker.random.random() < 0.3:
            return close_hard(connection)
        connection.recv(100)
        connection.sendall(encode("GETDEL", f"huge:{worker.random.randrange(4)}"))
        connection.recv(worker.random.choice((1, 100_000)))


# Bytes that are none of the protocol's.

GARBAGE = [
    b"*1\r\n$536870913\r\n", b"*2147483648\r\n", b"*x\r\n", b"$5\r\nhello\r\n", b"*1\r\n$-1\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx", b"*1000000\r\n$1\r\na\r\n", b"SET k \"open\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(80), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\0" * 300, b"a" * 70_000, b"*1\r\r$4\rXPING\r\n", b"\r\n" * 50,
]


@event(10)
def do_garbage(worker):
    with worker.connect(timeout=0.2) as connection:
        bytes_ = worker.random.choice(GARBAGE + [worker.random.randbytes(500)])
        connection.sendall(encode("PING") + bytes_)
        connection.recv(1000)
        if worker.random.random() < 0.5:
            connection.recv(1000)


@event(4)
def do_garbage_to_a_peer_port(worker):
    with worker.connect(worker.port() + 10_000, timeout=0.1) as connection:
        frame = struct.pack("<IB", worker.random.randrange(1, 60), worker.random.randrange(24))
        connection.sendall(worker.random.choice([
            frame + worker.random.randbytes(60), worker.random.choice(GARBAGE),
            b"\xff" * 5, worker.random.randbytes(200), b"",
        ]))
        connection.recv(1000)


@event(3)
def do_meddle_with_a_frame(worker):
    """What a node says first, sent back to it or to another with some bits changed."""
    with worker.connect(worker.port() + 10_000, timeout=0.1) as one:
        hello = bytearray(one.recv(1000))
        for _ in range(worker.random.randrange(3)):
            if hello:
                hello[worker.random.randrange(len(hello))] ^= 1 << worker.random.randrange(8)
        with worker.connect(worker.port() + 10_000, timeout=0.1) as other:
            other.sendall(bytes(hello) * worker.random.randrange(1, 4))
            other.recv(1000)


# Clients that do something to others.


@event(8)
def do_kill_others(worker):
    how = worker.random.randrange(5)
    if how == 0:
        worker.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif how == 1:
        worker.ask("CLIENT", "KILL", "ID", worker.random.randrange(1, 20_000))
    elif how == 2:
        worker.ask("CLIENT", "KILL", "USER", f"u{worker.random.randrange(4)}")
    else:
        with worker.connect() as connection:
            connection.sendall(encode("CLIENT", "LIST"))
            lines = [line for line in connection.recv(1 << 16).split(b"\n") if b"addr=" in line]
            if lines:
                address = worker.random.choice(lines).split(b"addr=")[1].split(b" ")[0]
                connection.sendall(encode("CLIENT", "KILL", address))
                connection.recv(100)


@event(2)
def do_kill_oneself(worker):
    with worker.connect() as connection:
        connection.sendall(
            encode("GET", worker.key()) * 5
            + encode("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") + encode("PING") * 5)
        while connection.recv(1000):
            pass


@event(6)
def do_fail_to_log_in(worker):
    with worker.connect() as connection:
        connection.sendall(
            encode("AUTH", "wrong") + encode("AUTH", f"u{worker.random.randrange(4)}", "wrong")
            + encode("HELLO", 3, "AUTH", "nobody", "x") + encode("GET", worker.key()))
        connection.recv(1000)


@event(5)
def do_change_users(worker):
    user = f"u{worker.random.randrange(4)}"
    if worker.random.random() < 0.3:
        worker.ask("ACL", "DELUSER", user)
    else:
        port = worker.port()
        worker.ask(
            "ACL", "SETUSER", user, "reset", "on", ">p", "~key:1*", "+@read", "+client", port=port)
        with worker.connect(port) as connection:
            connection.sendall(encode("AUTH", user, "p") + encode(*worker.command()) * 3)
            connection.recv(1000)
            worker.leave_open(connection.dup())


@event(2)
def do_change_parameters(worker):
    worker.ask(*worker.random.choice([
        ("CONFIG", "SET", "timeout", 1), ("CONFIG", "SET", "timeout", 0),
        ("CONFIG", "SET", "maxmemory", 3_000_000, "maxmemory-policy", "allkeys-lru"),
        ("CONFIG", "SET", "maxmemory", 3_000_000, "maxmemory-policy", "volatile-ttl"),
        ("CONFIG", "SET", "maxmemory", 0), ("CONFIG", "SET", "maxclients", 40),
        ("CONFIG", "SET", "maxclients", 10_000), ("CONFIG", "SET", "proto-max-bulk-len", "1mb"),
        ("CONFIG", "SET", "proto-max-bulk-len", "512mb"), ("CONFIG", "REWRITE"), ("FLUSHALL",),
        ("CONFIG", "SET", "keyspace.key.conflict", "siblings"), ("CONFIG", "RESETSTAT"),
        ("CONFIG", "SET", "keyspace.key", ""), ("ACL", "LOG", "RESET"),
    ]))


@event(4, needs="maxmemory-clients")
def do_evict_clients(worker):
    """Clients that together need more than they may: the largest goes."""
    worker.ask("CONFIG", "SET", "maxmemory-clients", worker.random.choice(["1mb", "0"]))
    connection = worker.connect()
    connection.settimeout(0.1)
    try:
        connection.sendall(encode("SET", "large", bytes(200_000)) + encode("GET", "large") * 20)
        connection.sendall(b"*2\r\n$4\r\nECHO\r\n$900000\r\n" + bytes(400_000))
    finally:
        worker.leave_open(connection)


class Storm:
    """So many events against a cluster whose nodes are killed and started again meanwhile."""

    def __init__(self, directory, events, seed, arguments=(), nodes=3, kills=0):
        self.tls = storm_tls.Certificates.when_supported(directory)
        more = self.tls.arguments() if self.tls else []
        self.cluster = Cluster(directory, nodes, [*arguments, *more])
        for node in self.cluster if self.tls else []:
            node.command += ["--tls-port", str(node.port + storm_tls.OFFSET)]
        self.ports = [node.port for node in self.cluster]
        self.wanted, self.kills = events, kills
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.seed, self.random = seed, random.Random(seed)
        self.until = None

    def goes_on(self):
        if self.until is not None:
            return time.monotonic() < self.until
        return self.counts.total() < self.wanted

    def count(self, name):
        with self.lock:
            self.counts[name] += 1

    def run(self, seconds=None):
        """Returns the seconds it took and what became of the processes that were ended."""
        self.cluster.start()
        everything = EVENTS + (storm_tls.events(self.tls) if self.tls else [])
        node = self.cluster[0]
        self.events = [
            entry for entry in everything if entry[2] is None or node.call("CONFIG", "GET", entry[2])]
        start = time.monotonic()
        self.until = start + seconds if seconds else None
        workers = [Worker(self, self.seed * 1000 + index) for index in range(WORKERS)]
        for worker in workers:
            worker.start()
        for number in range(self.kills):
            while self.goes_on() and self.counts.total() < self.wanted * (number + 1) / (
                    self.kills + 1):
                time.sleep(0.05)
            self.restart_one(kindly=number % 2 == 1)
        for worker in workers:
            worker.join()
        return time.monotonic() - start

    def restart_one(self, kindly):
        node = self.random.choice(self.cluster.nodes)
        if not node.is_running():
            return  # it has crashed: `end` says so
        if kindly:
            assert node.terminate() == 0, f"{node.port} ended badly\n{node.output()[-4000:]}"
        else:
            node.kill()
        time.sleep(self.random.random())
        node.start()
        self.counts["restarted kindly" if kindly else "killed"] += 1

    def end(self):
        """Ends all; returns what is wrong, a line each."""
        wrong = []
        for node in self.cluster:
            try:
                wrong += self._end(node)
            except AssertionError as error:
                wrong.append(str(error))
                node.end()
        return wrong

    @staticmethod
    def _end(node):
        wrong = []
        if not node.is_running():
            wrong.append(f"node {node.port} was gone: status {node.process.poll()}")
        else:
            if not node.answers():
                time.sleep(1)
            if not node.answers():
                wrong.append(f"node {node.port} does not answer")
            status = node.terminate(within=60)
            if status != 0:
                wrong.append(f"node {node.port} ended with status {status}")
        output = node.output()
        for word in ("Sanitizer", "Fatal error", "invariant", "runtime error"):
            if word in output:
                place = output.index(word)
                wrong.append(f"node {node.port}: …{output[max(0, place - 200):place + 3000]}")
                break
        return wrong
