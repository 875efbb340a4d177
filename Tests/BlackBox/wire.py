"""A Redis connection that hides nothing: it keeps every reply's bytes and retries nothing.

Client libraries reconnect, retry and convert. A test about bytes, about order or about what one
acknowledgement promised has to see what was on the wire.
"""

import socket
import threading
import time
from dataclasses import dataclass

CRLF = b"\r\n"
SCALARS = b"+-:_#,("
BLOBS = b"$=!"
AGGREGATES = {b"*": 1, b"~": 1, b">": 1, b"%": 2}


class ConnectionClosed(Exception):
    """The server closed the connection where a reply was due."""


class NoReply(Exception):
    """The server was silent for longer than the test allows."""


class MalformedReply(Exception):
    """The bytes are not RESP."""


class ServerError(Exception):
    """An error reply."""

    @property
    def word(self):
        return str(self).split(" ", 1)[0]


def error_word(value):
    """The first word of an error that a command answered with, or None for any other answer."""
    return value.word if isinstance(value, ServerError) else None


class Incomplete(Exception):
    """More bytes are needed; `needed` is the least length at which parsing can go on."""

    def __init__(self, needed):
        super().__init__(needed)
        self.needed = needed


@dataclass(frozen=True)
class Reply:
    """One reply: its RESP type byte, its content, and the bytes that carried it.

    `content` is bytes for scalars and blobs, None for every null, and a list of replies for
    aggregates (a map's keys and values alternate).
    """

    kind: bytes
    content: object
    raw: bytes

    @property
    def is_error(self):
        return self.kind in b"-!"

    @property
    def value(self):
        """The reply as Python sees it; an error becomes a ServerError that is not raised."""
        if self.content is None:
            return None
        if self.is_error:
            return ServerError(self.content.decode("utf-8", "replace"))
        if self.kind in (b":", b"("):
            return int(self.content)
        if self.kind == b",":
            return float(self.content)
        if self.kind == b"#":
            return self.content == b"t"
        if self.kind == b"=":
            return self.content[4:]
        if self.kind == b"%":
            return {
                key.value: value.value
                for key, value in zip(self.content[::2], self.content[1::2])
            }
        if self.kind in AGGREGATES:
            return [element.value for element in self.content]
        return self.content


def parse_reply(buffer, start=0):
    """The reply that begins at `start`, and where it ends; raises Incomplete without consuming."""
    line_end = buffer.find(CRLF, start)
    if line_end < 0:
        raise Incomplete(len(buffer) + 1)
    kind, line = bytes(buffer[start:start + 1]), bytes(buffer[start + 1:line_end])
    end = line_end + 2
    if not kind:
        raise MalformedReply("an empty line where a reply was due")
    if kind in SCALARS:
        content = None if kind == b"_" else line
        return Reply(kind, content, bytes(buffer[start:end])), end
    if kind not in BLOBS and kind not in AGGREGATES:
        raise MalformedReply(f"no RESP type: {bytes(buffer[start:start + 40])!r}")
    length = int(line)
    if length < 0:
        return Reply(kind, None, bytes(buffer[start:end])), end
    if kind in BLOBS:
        blob_end = end + length
        if len(buffer) < blob_end + 2:
            raise Incomplete(blob_end + 2)
        if buffer[blob_end:blob_end + 2] != CRLF:
            raise MalformedReply(f"a blob of {length} bytes without CRLF behind it")
        content = bytes(buffer[end:blob_end])
        return Reply(kind, content, bytes(buffer[start:blob_end + 2])), blob_end + 2
    elements = []
    for _ in range(length * AGGREGATES[kind]):
        element, end = parse_reply(buffer, end)
        elements.append(element)
    return Reply(kind, elements, bytes(buffer[start:end])), end


def encode_command(*words):
    """A command as the array of bulk strings that clients send."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, int):
            word = str(word)
        if isinstance(word, str):
            word = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Connection:
    """One TCP connection to one server."""

    def __init__(self, port, protocol=2, timeout=10.0):
        self.timeout = timeout
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._position = 0
        if protocol != 2:
            self.call("HELLO", protocol)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, payload):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(payload)

    def read_reply(self, timeout=None):
        """The next reply, within `timeout` seconds from now."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            try:
                reply, self._position = parse_reply(self._buffer, self._position)
            except Incomplete as incomplete:
                self._read_until(incomplete.needed, deadline)
                continue
            if self._position > 1 << 20:
                del self._buffer[:self._position]
                self._position = 0
            return reply

    def _read_until(self, length, deadline):
        while len(self._buffer) < length:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise NoReply(f"no whole reply in time, only {bytes(self._buffer[-80:])!r}")
            self.socket.settimeout(remaining)
            try:
                received = self.socket.recv(1 << 18)
            except TimeoutError:
                continue
            except ConnectionError as error:
                raise ConnectionClosed(str(error)) from error
            if not received:
                raise ConnectionClosed("the server closed the connection")
            self._buffer += received

    def ask(self, *words, timeout=None):
        """Sends one command and returns its reply, errors included."""
        try:
            self.send(encode_command(*words))
        except ConnectionError as error:
            raise ConnectionClosed(str(error)) from error
        return self.read_reply(timeout)

    def call(self, *words, timeout=None):
        """Sends one command and returns its value; an error reply is raised."""
        value = self.ask(*words, timeout=timeout).value
        if isinstance(value, ServerError):
            raise value
        return value

    def pipeline(self, payload, count, timeout=None):
        """Sends `payload` while reading `count` replies: neither side can block the other."""
        failures = []

        def send():
            try:
                self.socket.sendall(payload)
            except OSError as error:
                failures.append(error)

        self.socket.settimeout(self.timeout)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        replies = [self.read_reply(timeout) for _ in range(count)]
        sender.join(self.timeout)
        assert not sender.is_alive(), "the server answered everything and did not read everything"
        assert not failures, failures
        return replies

    def read_until_closed(self, timeout=None):
        """Every whole reply until the server closes; a part of a reply at the end is an error."""
        replies = []
        while True:
            try:
                replies.append(self.read_reply(timeout))
            except ConnectionClosed:
                leftover = bytes(self._buffer[self._position:])
                assert not leftover, f"the connection ended inside a reply: {leftover[-80:]!r}"
                return replies
