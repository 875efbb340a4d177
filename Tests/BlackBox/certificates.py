"""Certificates for the tests, made by the openssl program: an authority, and who it vouches for."""

import ssl
import subprocess
from pathlib import Path


def run(*words):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    """A certificate authority with a folder of its own."""

    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.crt"
        self.key = self.directory / "ca.key"
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", 30, "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, days=30, password=None):
        """A certificate and its key; `days` below 0 for an expired one."""
        request, certificate, key = (
            self.directory / f"{name}.{kind}" for kind in ("csr", "crt", "key"))
        secrecy = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *secrecy,
            "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        run("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key,
            "-CAcreateserial", "-days", days, "-out", certificate)
        return certificate, key

    def arguments(self, pair):
        """The command line of a node with that certificate."""
        certificate, key = pair
        return ["--tls-cert-file", certificate, "--tls-key-file", key,
                "--tls-ca-cert-file", self.certificate]

    def context(self, pair=None, version=None):
        """What a client trusts and shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.certificate)
        if pair:
            context.load_cert_chain(*pair)
        if version:
            context.minimum_version = context.maximum_version = version
        return context
