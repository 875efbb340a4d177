"""TLS for clients and between nodes, with redis-cli, redis-py and bare sockets."""

import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings

import pytest
import redis

from certificates import Authority
from processes import STARTS_WITHIN, Cluster, Node, free_ports, wait_until
from wire import Connection, encode_command

HANDSHAKE_PATIENCE = 10.0
REFUSES_WITHIN = 5.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def server_pair(authority):
    return authority.issue("server")


@pytest.fixture(scope="module")
def client_pair(authority):
    return authority.issue("client")


@pytest.fixture
def tls_node(make_node, authority, server_pair):
    """A node with a plain port and one for TLS."""
    def make(*arguments):
        port, tls_port = free_ports(2)
        node = make_node(
            "--tls-port", tls_port, *authority.arguments(server_pair), *arguments, port=port)
        node.tls_port = tls_port
        return node.start_and_wait()
    return make


class SecureConnection(Connection):
    """A bare connection over TLS."""

    def __init__(self, port, context, timeout=10.0):
        super().__init__(port, timeout=timeout)
        self.socket = context.wrap_socket(self.socket, suppress_ragged_eofs=False)


def secure_client(node, authority, pair=None, **options):
    certificate, key = pair or (None, None)
    return redis.Redis(
        port=node.tls_port, ssl=True, ssl_ca_certs=str(authority.certificate),
        ssl_certfile=certificate and str(certificate), ssl_keyfile=key and str(key),
        ssl_check_hostname=False, socket_timeout=30, **options)


def redis_cli(port, authority, pair, *words):
    identity = ["--cert", pair[0], "--key", pair[1]] if pair else []
    command = ["redis-cli", "-p", port, "--tls", "--cacert", authority.certificate, *identity, *words]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    return done.stdout.strip() + done.stderr.strip()


def is_refused(port, context):
    """Whether a PING over TLS gets no answer: with TLS 1.3 a server's no comes after the handshake."""
    try:
        with SecureConnection(port, context) as connection:
            connection.send(encode_command("PING"))
            return not connection.socket.recv(100)
    except (ssl.SSLError, ConnectionError):
        return True


def descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def test_redis_cli_and_a_node_without_a_plain_port(
        make_node, authority, server_pair, client_pair):
    node = make_node(*authority.arguments(server_pair), "--port", 0)
    node.tls_port = node.port
    node.command += ["--tls-port", str(node.tls_port)]
    node.start()
    wait_until(
        lambda: redis_cli(node.tls_port, authority, client_pair, "PING") == "PONG", STARTS_WITHIN,
        "redis-cli is answered")
    assert redis_cli(node.tls_port, authority, client_pair, "SET", "k", "v") == "OK"
    assert redis_cli(node.tls_port, authority, client_pair, "GET", "k") == "v"
    assert "addr=127.0.0.1:" in redis_cli(node.tls_port, authority, client_pair, "CLIENT", "LIST")
    assert f"tcp_port:{node.tls_port}\n" in redis_cli(
        node.tls_port, authority, client_pair, "INFO", "server").replace("\r", "")
    assert redis_cli(node.tls_port, authority, client_pair, "CLUSTER", "SLOTS").splitlines() [2:4] == [
        "127.0.0.1", str(node.tls_port)]
    assert redis_cli(node.tls_port, authority, None, "PING") != "PONG"
    assert node.terminate() == 0


@pytest.mark.parametrize("protocol", [2, 3], ids=["RESP2", "RESP3"])
def test_redis_py_with_a_client_certificate(tls_node, authority, client_pair, protocol):
    node = tls_node()
    with secure_client(node, authority, client_pair, protocol=protocol) as client:
        assert client.set("k", "v")
        assert client.get("k") == b"v"
        assert client.config_get("tls-port") == {"tls-port": str(node.tls_port)}
    with secure_client(node, authority) as client, pytest.raises(redis.ConnectionError):
        client.get("k")
    with node.client() as client:
        assert client.get("k") == b"v"


def test_who_is_let_in(tls_node, authority, stranger, client_pair):
    node = tls_node()
    ours, nobody = authority.context(client_pair), authority.context()
    expired = authority.context(authority.issue("expired", days=-1))
    foreign = authority.context(stranger.issue("client"))
    port = node.tls_port
    for setting, welcome, refused in [
        ("yes", [ours], [nobody, expired, foreign]),
        ("optional", [ours, nobody], [expired, foreign]),
        ("no", [ours, nobody, expired, foreign], []),
    ]:
        assert node.call("CONFIG", "SET", "tls-auth-clients", setting) == b"OK"
        assert [is_refused(port, context) for context in welcome] == [False] * len(welcome), setting
        assert [is_refused(port, context) for context in refused] == [True] * len(refused), setting
    # A client that does not know the node's authority goes away.
    with pytest.raises(ssl.SSLCertVerificationError):
        SecureConnection(port, stranger.context())


def test_versions(tls_node, authority, client_pair):
    node = tls_node()

    def works(version):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = authority.context(client_pair, version)
        context.set_ciphers("ALL:@SECLEVEL=0")
        return not is_refused(node.tls_port, context)

    both = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
    assert [works(version) for version in both] == [True, True]
    assert not works(ssl.TLSVersion.TLSv1_1)
    for setting, expected in [("TLSv1.3", [False, True]), ("TLSv1.2", [True, False]),
                              ("TLSv1.2 TLSv1.3", [True, True])]:
        assert node.call("CONFIG", "SET", "tls-protocols", setting) == b"OK"
        assert [works(version) for version in both] == expected
    assert node.call("CONFIG", "SET", "tls-session-caching", "no") == b"OK"
    assert [works(version) for version in both] == [True, True]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_taken_up_again(tls_node, authority, client_pair, version):
    node = tls_node()
    context = authority.context(client_pair, version)

    def resumed(session):
        raw = socket.create_connection(("127.0.0.1", node.tls_port), timeout=10)
        with context.wrap_socket(raw, session=session) as connection:
            connection.sendall(encode_command("PING"))
            assert connection.recv(100) == b"+PONG\r\n"
            return connection.session, connection.session_reused

    session, _ = resumed(None)
    assert resumed(session)[1]
    assert node.call("CONFIG", "SET", "tls-session-caching", "no") == b"OK"
    session, _ = resumed(None)
    assert not resumed(session)[1]


def test_plain_bytes_for_tls_and_tls_for_plain_bytes(tls_node, authority, client_pair):
    node = tls_node()
    for bytes_ in (b"PING\r\n", encode_command("SET", "k", "v"), b"\x16\x03\x01\x02\x00" + b"x" * 600,
                   b"\x00" * 70_000):
        with socket.create_connection(("127.0.0.1", node.tls_port), timeout=5) as client:
            client.settimeout(5)
            try:
                client.sendall(bytes_)
                while client.recv(1000):
                    pass
            except ConnectionError:
                pass
    with pytest.raises((ssl.SSLError, ConnectionError, TimeoutError)):
        SecureConnection(node.port, authority.context(client_pair), timeout=2)
    with secure_client(node, authority, client_pair) as client:
        assert client.ping() and client.dbsize() == 0
    assert node.call("PING") == b"PONG"


def test_handshakes_that_never_end_do_and_keep_nobody_out(tls_node, authority, client_pair):
    node = tls_node()
    before = descriptors(node)
    idle = [socket.create_connection(("127.0.0.1", node.tls_port)) for _ in range(300)]
    idle[7].sendall(b"\x16\x03\x01")
    began = time.monotonic()
    with secure_client(node, authority, client_pair) as client:
        assert client.ping()
    idle[0].settimeout(HANDSHAKE_PATIENCE + 5)
    try:
        assert idle[0].recv(10) == b""
    except ConnectionError:
        pass
    assert HANDSHAKE_PATIENCE - 2 < time.monotonic() - began < HANDSHAKE_PATIENCE + 4
    wait_until(lambda: descriptors(node) <= before, 5, "all descriptors are given back")
    for connection in idle:
        connection.close()
    assert "maxclients" not in node.output()


def test_more_handshakes_than_there_is_room_for(tls_node, authority, client_pair):
    node = tls_node()
    before = descriptors(node)
    idle = []
    for _ in range(1400):
        idle.append(socket.create_connection(("127.0.0.1", node.tls_port)))
    wait_until(lambda: descriptors(node) <= before + 1024 + 8, 5, "the oldest of them are closed")
    assert descriptors(node) >= before + 1000
    with secure_client(node, authority, client_pair) as client:
        assert client.ping()
    for connection in idle:
        connection.close()
    wait_until(lambda: descriptors(node) <= before + 1, 15, "all descriptors are given back")


def test_large_values_both_ways(tls_node, authority, client_pair):
    node = tls_node()
    value = os.urandom(1 << 20) * 64
    with secure_client(node, authority, client_pair) as client:
        assert client.set("k", value)
        assert client.get("k") == value
        assert client.strlen("k") == len(value)
    # Both at once: what is sent fills the socket while replies wait for it. In one thread, because two
    # may not use one TLS connection of Python's.
    with SecureConnection(node.tls_port, authority.context(client_pair), 60) as connection:
        reply = b"$%d\r\n%s\r\n" % (len(value), value)
        request = encode_command("GET", "k") * 3 + encode_command("SET", "k2", value)
        assert exchange(connection, request, 3 * len(reply) + 5) == reply * 3 + b"+OK\r\n"


def exchange(connection, request, length):
    """Sends and reads at once, each as far as the socket lets it, until so many bytes have come."""
    stream = connection.socket
    stream.settimeout(0)
    waiting, received = memoryview(request), bytearray()
    deadline = time.monotonic() + connection.timeout
    while len(received) < length:
        assert time.monotonic() < deadline, f"{len(received)} bytes came, {len(waiting)} wait"
        moved = 0
        try:
            if waiting:
                moved = stream.send(waiting[:1 << 18])
                waiting = waiting[moved:]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            while True:
                part = stream.recv(1 << 18)
                assert part, "the node has closed the connection"
                received += part
                moved += len(part)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        if not moved:
            select.select([stream], [stream] if waiting else [], [], 0.1)
    return bytes(received)


def test_a_hundred_thousand_commands_in_one_go(tls_node, authority, client_pair):
    node = tls_node()
    count = 100_000
    request = b"".join(encode_command("SET", f"k{i}", i) for i in range(count))
    request += b"".join(encode_command("GET", f"k{i}") for i in range(count))
    replies = b"+OK\r\n" * count
    replies += b"".join(b"$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(count))
    with SecureConnection(node.tls_port, authority.context(client_pair), 120) as connection:
        assert exchange(connection, request, len(replies)) == replies


def test_the_last_reply_comes_before_the_end(tls_node, authority, client_pair):
    node = tls_node()
    context = authority.context(client_pair)
    with SecureConnection(node.tls_port, context) as connection:
        connection.send(encode_command("SET", "k", "v") + encode_command("QUIT"))
        # An end without close_notify would be an SSLEOFError here.
        received = b""
        while part := connection.socket.recv(100):
            received += part
        assert received == b"+OK\r\n+OK\r\n"
    with SecureConnection(node.tls_port, context) as connection:
        assert connection.call("PING") == b"PONG"
        # Answers a close_notify with its own, and closes.
        plain = connection.socket.unwrap()
        assert plain.recv(100) == b""
    # Cut off in the middle of a request, without a word.
    with SecureConnection(node.tls_port, context) as connection:
        connection.send(b"*2\r\n$3\r\nGET")
        connection.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: len(node.call("CLIENT", "LIST").splitlines()) == 1, 5, "all are gone")


def test_certificates_are_renewed_under_load(tls_node, authority, client_pair, tmp_path):
    node = tls_node()
    pairs = [authority.issue("renewed-1"), authority.issue("renewed-2")]
    certificate, key = tmp_path / "now.crt", tmp_path / "now.key"
    failures, commands, stopping = [], [0], threading.Event()
    context = authority.context(client_pair)

    def work(is_steady):
        try:
            while not stopping.is_set():
                with secure_client(node, authority, client_pair) as client:
                    for number in range(200 if is_steady else 3):
                        client.set(f"k{number}", number)
                        assert client.get(f"k{number}") == str(number).encode()
                        commands[0] += 2
        except Exception as error:  # Whatever it is, it is told.
            failures.append(error)

    def shown():
        with SecureConnection(node.tls_port, context) as connection:
            subject = connection.socket.getpeercert()["subject"]
            return subject[0][0][1]

    with SecureConnection(node.tls_port, context) as old:
        workers = [threading.Thread(target=work, args=(number < 2,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for round_ in range(12):
            source = pairs[round_ % 2]
            # Behind the same names, as who renews certificates does it.
            shutil.copy(source[0], certificate)
            shutil.copy(source[1], key)
            assert node.call(
                "CONFIG", "SET", "tls-cert-file", str(certificate), "tls-key-file", str(key)) == b"OK"
            assert shown() == f"renewed-{round_ % 2 + 1}"
            mixed = pairs[(round_ + 1) % 2][1]
            for bad in (
                ["tls-key-file", mixed], ["tls-cert-file", "/no/such/file"],
                ["tls-cert-file", authority.key], ["tls-ca-cert-file", key],
                ["timeout", 0, "tls-cert-file", pairs[0][0], "tls-key-file", pairs[1][1]],
            ):
                answer = str(node.answer("CONFIG", "SET", *map(str, bad)))
                name = next(word for word in bad if str(word).startswith("tls-"))
                assert answer == (
                    f"ERR CONFIG SET failed (possibly related to argument '{name}') - Unable to "
                    "update TLS configuration. Check server logs.")
            assert shown() == f"renewed-{round_ % 2 + 1}"
        assert node.call("CONFIG", "GET", "tls-cert-file") == [
            b"tls-cert-file", str(certificate).encode()]
        stopping.set()
        for worker in workers:
            worker.join()
        assert old.call("PING") == b"PONG"
    assert not failures
    assert commands[0] > 200
    assert "key values mismatch" in node.output()


def test_a_key_with_a_password(run_program, make_node, authority, client_pair):
    pair = authority.issue("locked", password="open sesame")
    port, tls_port = free_ports(2)
    arguments = ["--tls-port", tls_port, *authority.arguments(pair)]
    program = run_program("--port", port, *arguments)
    assert program.exit_status(REFUSES_WITHIN) != 0
    assert "Failed to load private key" in program.output()
    node = make_node(*arguments, "--tls-key-file-pass", "open sesame", port=port).start_and_wait()
    assert not is_refused(tls_port, authority.context(client_pair))
    assert "sesame" not in node.output()


@pytest.mark.parametrize("arguments, words", [
    (["--tls-port", "12346"], ["TLS", "No tls-cert-file configured!"]),
    (["--tls-cluster", "yes"], ["TLS", "No tls-cert-file configured!"]),
    (["--tls-port", "12346", "--tls-cert-file", "/no"], ["No tls-key-file configured!"]),
    (["--tls-port", "12346", "--tls-cert-file", "/no", "--tls-key-file", "/no"],
     ["Failed to load certificate: /no", "No such file"]),
    (["--tls-port", "12345"], ["tls-port 12345"]),
    (["--tls-auth-clients", "maybe"], ["no, yes, optional"]),
    (["--tls-port", "12346", "--bind", "0.0.0.0", "--cluster-bind", "127.0.0.1"],
     ["requirepass", "protected-mode"]),
])
def test_a_start_that_can_not_be_meant_is_refused(run_program, arguments, words):
    program = run_program("--port", "12345", *arguments)
    assert program.exit_status(REFUSES_WITHIN) != 0
    for word in words:
        assert word in program.output()


@pytest.mark.parametrize("arguments, text", [
    (["--tls-ca-cert-file", ""], "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
    (["--tls-protocols", "TLSv1.1"], "Invalid tls-protocols"),
    (["--tls-ciphers", "none-such"], "Failed to configure ciphers: none-such"),
    (["--tls-ciphersuites", "none-such"], "Failed to configure ciphersuites: none-such"),
])
def test_bad_options_stop_the_start(run_program, authority, server_pair, arguments, text):
    program = run_program(
        "--port", 12345, "--tls-port", 12346, *authority.arguments(server_pair), *arguments)
    assert program.exit_status(REFUSES_WITHIN) != 0
    assert text in program.output()


@pytest.fixture
def secure_cluster(tmp_path, authority, server_pair):
    arguments = [*authority.arguments(server_pair), "--tls-cluster", "yes"]
    cluster = Cluster(tmp_path / "secure", arguments=arguments)
    try:
        yield cluster.start()
    finally:
        cluster.end()


def test_a_cluster_over_tls_answers_and_heals(secure_cluster, tmp_path, authority, stranger):
    cluster = secure_cluster
    value = os.urandom(1 << 20) * 8
    with cluster[0].client() as client:
        for number in range(300):
            assert client.set(f"k{number}", number)
        assert client.set("large", value)
    with cluster[2].client() as client:
        assert client.get("large") == value
        assert [client.get(f"k{number}") for number in range(300)] == [
            str(number).encode() for number in range(300)]
    cluster[1].kill()
    with cluster[0].client() as client:
        for number in range(300, 400):
            assert client.set(f"k{number}", number)
    cluster[1].start()
    cluster.wait_until_complete()
    with cluster[1].client() as client:
        assert client.dbsize() == 401
        assert client.get("k350") == b"350"
    # Without TLS, and with a certificate of somebody else, nobody comes in.
    seed = ["--cluster-seeds", f"127.0.0.1:{cluster[0].port}"]
    plain = Node(tmp_path / "plain", *seed)
    foreign = Node(
        tmp_path / "foreign", *seed, *stranger.arguments(stranger.issue("server")),
        "--tls-cluster", "yes")
    try:
        plain.start_and_wait()
        foreign.start_and_wait()
        time.sleep(4)
        for node in cluster:
            assert node.cluster_info()["cluster_known_nodes"] == "3"
        assert plain.cluster_info()["cluster_known_nodes"] == "1"
        assert foreign.cluster_info()["cluster_known_nodes"] == "1"
        assert "TLS: " in foreign.output() and "certificate verify failed" in foreign.output()
        assert foreign.output().count("\n") < 20 and plain.output().count("\n") < 20
    finally:
        plain.end()
        foreign.end()
    # Who speaks no TLS to the peer port gets nothing.
    with socket.create_connection(("127.0.0.1", cluster[0].peer_port), timeout=5) as client:
        client.sendall(b"\x19\x00\x00\x00\x01COTR")
        try:
            assert b"COTR" not in client.recv(1000)
        except ConnectionError:
            pass
    # A client's certificate is not asked for on the plain port, and a peer without one is refused.
    assert is_refused(cluster[0].peer_port, authority.context())


def test_a_local_cluster_with_tls_and_nothing_else(
        run_program, authority, server_pair, client_pair):
    ports = free_ports(3)
    program = run_program(
        "--local-cluster", 3, "--port", 0, "--tls-port", ports[0], "--tls-cluster", "yes",
        *authority.arguments(server_pair))

    def is_whole():
        assert program.is_running(), program.output()
        text = redis_cli(ports[2], authority, client_pair, "CLUSTER", "INFO")
        return "cluster_state:ok" in text and "cluster_known_nodes:3" in text

    wait_until(is_whole, STARTS_WITHIN, "three nodes know each other")
    assert redis_cli(ports[0], authority, client_pair, "SET", "k", "v") == "OK"
    assert redis_cli(ports[2], authority, client_pair, "GET", "k") == "v"
    shown = redis_cli(ports[1], authority, client_pair, "CLUSTER", "NODES")
    assert all(f"127.0.0.1:{port}@" in shown for port in ports)
    assert program.terminate() == 0
