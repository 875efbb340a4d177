"""Sends the corpus to a real redis-server and to coterie-server and compares the replies."""

import select
import socket
import time
from pathlib import Path

import pytest

from comparison import complete_scan, difference, shown
from corpus_grammar import Command, Connect, Raw, Wait, read_corpus
from wire import Connection, ConnectionClosed, MalformedReply, NoReply, encode_command

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.txt"))
REPLY_WITHIN = 5.0
QUIET_AFTER_REPLIES = 0.06
QUIET_AFTER_NOTHING = 0.12
DIFFERENT_FOR = 3.0
WHOLE_BYTES_AT_MOST = 2048
FRAGMENT = 1000


class Conversation:
    """The same lines on one connection to each of the two servers."""

    def __init__(self, servers, protocol):
        self.servers = servers
        self.protocol = protocol
        self.connections = []
        self.connect()

    def connect(self):
        self.close()
        self.connections = [
            Connection(server.port, self.protocol, REPLY_WITHIN) for server in self.servers
        ]

    def close(self):
        for connection in self.connections:
            connection.close()

    def difference_at(self, line):
        """What differs between the replies to `line`, or None."""
        if isinstance(line, Wait):
            time.sleep(line.seconds)
            return None
        if isinstance(line, Connect):
            return self.connect()
        if isinstance(line, Raw):
            return self._difference_at_raw(line.payload)
        return self._difference_at_command(line)

    def _difference_at_command(self, line):
        replies = [self._reply(connection, line) for connection in self.connections]
        failures = [reply for reply in replies if isinstance(reply, Exception)]
        if not failures:
            comparison = "" if line.comparison == "scan" else line.comparison
            return difference(comparison, *replies)
        self.connect()
        return f"no reply\n    redis   {shown(replies[0])}\n    coterie {shown(replies[1])}"

    def _reply(self, connection, line):
        try:
            if line.comparison == "scan":
                return complete_scan(connection, line.words)
            return connection.ask(*line.words)
        except (ConnectionClosed, NoReply, MalformedReply, AssertionError) as failure:
            return failure

    def _difference_at_raw(self, payload):
        whole = self._exchange(payload, len(payload))
        step = 1 if len(payload) <= WHOLE_BYTES_AT_MOST else FRAGMENT
        in_parts = self._exchange(payload, step)
        for way, (reference, subject) in (("at once", whole), (f"by {step}", in_parts)):
            if reference != subject:
                return (f"other bytes when sent {way}"
                        f"\n    redis   {shown(reference)}\n    coterie {shown(subject)}")
        return None

    def _exchange(self, payload, step):
        """What both answer to `payload` sent `step` bytes at a time, and whether they closed."""
        exchanges = [RawExchange(server.port, self.protocol) for server in self.servers]
        try:
            for exchange in exchanges:
                exchange.send(payload, step)
            _read_until_alike_and_quiet(exchanges)
            return [exchange.answer for exchange in exchanges]
        finally:
            for exchange in exchanges:
                exchange.close()


class RawExchange:
    """Bytes sent on a fresh connection, and what came back."""

    def __init__(self, port, protocol):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=REPLY_WITHIN)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.closed = False
        if protocol == 3:
            self._say_hello()

    def _say_hello(self):
        """Sends HELLO 3 and takes its reply, whose end an ECHO marks."""
        self.socket.sendall(encode_command("HELLO", "3") + encode_command("ECHO", "ready"))
        greeting = b""
        while not greeting.endswith(b"$5\r\nready\r\n"):
            received = self.socket.recv(4096)
            assert received, f"HELLO 3 ended the connection: {greeting!r}"
            greeting += received

    @property
    def answer(self):
        return self.received, "closed" if self.closed else "open"

    def send(self, payload, step):
        """Sends what the server takes; one that closes in the middle has said why."""
        try:
            for start in range(0, len(payload), step):
                self.socket.sendall(payload[start:start + step])
        except ConnectionError:
            pass

    def read_available(self):
        try:
            received = self.socket.recv(1 << 16)
        except ConnectionError:
            received = b""
        self.received += received
        self.closed = not received

    def close(self):
        self.socket.close()


def _read_until_alike_and_quiet(exchanges):
    """Reads until the answers agree and nothing more comes, or have differed for long enough."""
    last_news = time.monotonic()
    while True:
        open_exchanges = {
            exchange.socket: exchange for exchange in exchanges if not exchange.closed
        }
        alike = exchanges[0].answer == exchanges[1].answer
        if alike and not open_exchanges:
            return
        quiet = QUIET_AFTER_REPLIES if exchanges[0].received else QUIET_AFTER_NOTHING
        patience = quiet if alike else DIFFERENT_FOR
        remaining = last_news + patience - time.monotonic()
        if remaining <= 0:
            return
        readable, _, _ = select.select(list(open_exchanges), [], [], remaining)
        for ready in readable:
            open_exchanges[ready].read_available()
            last_news = time.monotonic()


@pytest.mark.parametrize("protocol", [2, 3], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_replies_are_those_of_redis(reference_and_subject, path, protocol):
    conversation = Conversation(reference_and_subject, protocol)
    differences = []
    try:
        for line in read_corpus(path):
            found = conversation.difference_at(line)
            if found:
                differences.append(f"{line.place}  {line.text[:200]}\n    {found}")
    finally:
        conversation.close()
    for server in reference_and_subject:
        assert server.is_running(), f"{server.command} died:\n{server.output()[-4000:]}"
    report = "\n".join(differences)
    assert not differences, f"{len(differences)} replies differ from Redis's\n{report}"


def test_the_corpus_has_at_least_400_command_lines():
    lines = [line for path in CORPUS for line in read_corpus(path)]
    assert sum(isinstance(line, (Command, Raw)) for line in lines) >= 400
