"""TLS events of the storm: they join it by themselves once `conf/coterie.conf` knows `tls-port`.

The names of the directives are Redis's. Each node listens with TLS at its client port + 5000.
"""

import socket
import ssl
import subprocess
from pathlib import Path

from processes import REPOSITORY

OFFSET = 5_000


class Certificates:
    """One authority, one certificate for all nodes, and one from an authority nobody trusts."""

    def __init__(self, directory):
        self.directory = Path(directory) / "tls"
        self.directory.mkdir(parents=True, exist_ok=True)
        for name in ("own", "strange"):
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", f"{name}.key", "-out", f"{name}.crt"],
                cwd=self.directory, check=True, capture_output=True)

    @classmethod
    def when_supported(cls, directory):
        """The certificates; None when this server knows no TLS."""
        conf = (REPOSITORY / "conf" / "coterie.conf").read_text()
        return cls(directory) if "tls-port" in conf else None

    def arguments(self):
        """For every node; the port of each is added where the node starts."""
        return ["--tls-cert-file", self.directory / "own.crt", "--tls-key-file",
                self.directory / "own.key", "--tls-ca-cert-file", self.directory / "own.crt",
                "--tls-auth-clients", "optional"]

    def context(self, client=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if client:
            context.load_cert_chain(
                self.directory / f"{client}.crt", self.directory / f"{client}.key")
        return context


def events(certificates):
    """The events, as in `storm.EVENTS`."""

    def port(worker):
        return worker.port() + OFFSET

    def do_tls_talk(worker):
        with worker.connect(port(worker)) as plain:
            with certificates.context("own").wrap_socket(plain) as connection:
                connection.sendall(b"PING\r\n" * 20)
                connection.recv(1000)

    def do_tls_strange_certificate(worker):
        with worker.connect(port(worker)) as plain:
            with certificates.context("strange").wrap_socket(plain) as connection:
                connection.sendall(b"PING\r\n")
                connection.recv(1000)

    def do_tls_plain_text(worker):
        with worker.connect(port(worker), timeout=0.2) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            connection.recv(1000)

    def do_tls_leave_in_the_handshake(worker):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = certificates.context().wrap_bio(incoming, outgoing)
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        with worker.connect(port(worker), timeout=0.2) as connection:
            connection.sendall(hello[: worker.random.randrange(1, len(hello) + 1)])
            if worker.random.random() < 0.5:
                connection.recv(1000)

    def do_tls_garbage_behind_the_handshake(worker):
        with worker.connect(port(worker)) as plain:
            connection = certificates.context().wrap_socket(plain)
            raw = socket.socket(fileno=socket.dup(connection.fileno()))
            with connection, raw:
                connection.sendall(b"PING\r\n")
                raw.sendall(b"\x17\x03\x03\x00\x20" + worker.random.randbytes(32))
                connection.recv(1000)

    return [
        (do_tls_talk, 10, "tls-port"), (do_tls_strange_certificate, 3, "tls-port"),
        (do_tls_plain_text, 3, "tls-port"), (do_tls_leave_in_the_handshake, 5, "tls-port"),
        (do_tls_garbage_behind_the_handshake, 3, "tls-port"),
    ]
