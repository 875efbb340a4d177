"""Peers prove that they know the cluster's secret; what strangers send to the peer port is nothing."""

import os
import socket
import struct
import threading
import time

import pytest

from processes import Cluster, Node, free_ports, wait_until

SECRET = "not-to-be-seen-0123456789"
OTHER = "another-one-which-is-wrong"
REFUSES_WITHIN = 5.0
HELLO, MEMBERS, SETTINGS, SWIM, PROOF = 1, 14, 15, 18, 19


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster", arguments=["--cluster-secret", SECRET])
    try:
        yield cluster.start()
    finally:
        cluster.end()


def frame(kind, body):
    return struct.pack("<IB", len(body) + 1, kind) + body


def hello(node=77, proves=True):
    return frame(
        HELLO, b"COTR" + struct.pack("<HHQQ", 2, 2, node, node) + os.urandom(32) + bytes([proves]))


def member(node=77):
    """A record of a node that nobody knows, as Member.swift writes it."""
    now = int(time.time() * 1000)
    host, name = b"127.0.0.1", b"evil"
    record = struct.pack("<QQQIIBBB", node, node, now, 0, 0, 1, 0, 1)
    record += struct.pack("<H", len(host)) + host + struct.pack("<HH", 9999, 19999)
    record += struct.pack("<H", len(name)) + name + struct.pack("<H", 0)
    record += struct.pack("<HHQQQH", 1, 1, 0, 0, 0, 0)
    return frame(MEMBERS, struct.pack("<I", 1) + record)


def exchange(port, *parts):
    """Sends to a peer port until it closes; what came back."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            while part := connection.recv(1000):
                received += part
        except ConnectionError:
            pass
    return received


def kinds(data):
    found = []
    while len(data) >= 5:
        length, kind = struct.unpack_from("<IB", data)
        found.append(kind)
        data = data[4 + length:]
    return found


def known_nodes(node):
    return int(node.cluster_info()["cluster_known_nodes"])


def members_alive(node):
    return int(node.info("coterie")["members_alive"])


def refused(node):
    return int(node.info("coterie")["peer_links_refused"])


def descriptors(node):
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def assert_whole(cluster):
    for node in cluster:
        assert known_nodes(node) == 3
        wait_until(lambda: members_alive(node) == 3, 10, "all links are up")
    cluster[0].call("SET", "k", "v")
    assert cluster[2].call("GET", "k") == b"v"


def test_without_a_secret_the_same_frames_make_a_member(make_node):
    """The forged frames below are good ones: what stops them is the proof, not a slip in them."""
    node = make_node().start_and_wait()
    connection = socket.create_connection(("127.0.0.1", node.peer_port), timeout=10)
    connection.sendall(hello(proves=False) + member())
    wait_until(lambda: known_nodes(node) == 2, 5, "the forged member is taken")
    connection.close()


def test_garbage_and_frames_without_a_proof_change_nothing(cluster):
    target = cluster[0]
    cases = [
        [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], [os.urandom(5000)], [b"\x00" * 5000],
        [member()], [frame(SETTINGS, b"")], [hello(), member()], [hello() + member()],
        [hello(proves=False) + member()], [hello(), hello()], [hello(), frame(PROOF, b"x" * 32), member()],
        [hello(), frame(PROOF, b"x" * 31)], [hello(), frame(SWIM, b"\x00" * 40)],
        [struct.pack("<IB", 1 << 29, MEMBERS) + b"x" * 10_000],
    ]
    for case in cases:
        assert kinds(exchange(target.peer_port, *case)) == [HELLO], case
    assert refused(target) >= len(cases)
    assert_whole(cluster)
    assert "evil" not in target.output() and "@19999" not in target.call("CLUSTER", "NODES").decode()


def test_a_recorded_handshake_is_worth_nothing(cluster, tmp_path):
    """A node joins through a recorder in the middle; what it sent is sent once more."""
    target, recorded = cluster[0], []
    port = free_ports(1)[0]
    listener = socket.create_server(("127.0.0.1", port + 10_000))

    def pump(source, sink, keep):
        try:
            while data := source.recv(65536):
                if keep is not None:
                    keep.append(data)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def record():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", target.peer_port))
            keep = []
            recorded.append(keep)
            threading.Thread(target=pump, args=(client, server, keep), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, None), daemon=True).start()

    threading.Thread(target=record, daemon=True).start()
    newcomer = Node(
        tmp_path / "newcomer", "--cluster-seeds", f"127.0.0.1:{port}", "--cluster-secret", SECRET)
    try:
        newcomer.start_and_wait()
        wait_until(lambda: known_nodes(target) == 4, 10, "the newcomer joins")
        data = b"".join(recorded[0])
        assert kinds(data)[:2] == [HELLO, PROOF]
        before = refused(target)
        wait_until(lambda: members_alive(target) == 4, 10, "its links are up")
        for _ in range(3):
            assert kinds(exchange(target.peer_port, data)) == [HELLO]
        assert refused(target) >= before + 3
        # The newcomer's own link was not taken for given up.
        assert members_alive(target) == 4
    finally:
        listener.close()
        newcomer.end()


def test_a_thousand_strangers_that_wait_keep_nobody_out(cluster):
    target = cluster[0]
    before = descriptors(target)
    idle = [socket.create_connection(("127.0.0.1", target.peer_port)) for _ in range(1000)]
    wait_until(lambda: descriptors(target) <= before + 264, 3, "the oldest of them are closed")
    assert_whole(cluster)
    cluster[1].kill()
    cluster[1].start()
    cluster.wait_until_complete()
    wait_until(lambda: descriptors(target) <= before + 2, 12, "all descriptors are given back")
    assert_whole(cluster)
    assert int(target.info("coterie")["peer_links_unproven"]) == 0
    assert target.output().count("\n") < 40
    for connection in idle:
        connection.close()


@pytest.mark.parametrize("arguments, told", [
    (["--cluster-secret", OTHER], "is the cluster-secret the same?"),
    ([], "it has a cluster-secret and this node has none"),
])
def test_a_node_with_another_secret_does_not_come_in(cluster, tmp_path, arguments, told):
    stranger = Node(
        tmp_path / "stranger", "--cluster-seeds", ",".join(f"127.0.0.1:{n.port}" for n in cluster),
        *arguments)
    try:
        stranger.start_and_wait()
        wait_until(lambda: told in stranger.output(), 5, "it says why")
        time.sleep(5)
        assert known_nodes(stranger) == 1
        assert_whole(cluster)
        assert refused(cluster[0]) > 0
        # It asks less and less often, and nobody's log fills.
        assert refused(cluster[0]) < 15
        for node in [stranger, *cluster]:
            assert node.output().count("\n") < 40, node.output()
        # Told to meet: no.
        stranger.call("CLUSTER", "MEET", "127.0.0.1", cluster[1].port)
        time.sleep(1)
        assert known_nodes(cluster[1]) == 3
    finally:
        stranger.end()


def test_the_secret_is_not_shown(make_node, tmp_path):
    conf = tmp_path / "node.conf"
    conf.write_text(f"# mine\ncluster-secret {SECRET}\nloglevel debug\n")
    node = make_node()
    node.command.insert(1, str(conf))
    node.start_and_wait()
    shown = node.call("CONFIG", "GET", "*")
    assert b"cluster-secret" in shown and SECRET.encode() not in shown
    assert node.call("CONFIG", "GET", "cluster-secret") == [b"cluster-secret", b""]
    assert "immutable" in str(node.answer("CONFIG", "SET", "cluster-secret", OTHER))
    assert node.call("CONFIG", "SET", "loglevel", "notice") == b"OK"
    assert node.call("CONFIG", "REWRITE") == b"OK"
    assert f"# mine\ncluster-secret {SECRET}\nloglevel notice\n" in conf.read_text()
    assert node.info("coterie")["cluster_secret"] == "1"
    assert SECRET not in node.output()
    assert SECRET.encode() not in node.call("INFO", "everything")


def test_a_secret_in_a_file(tmp_path, run_program):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    ports = free_ports(2)
    seeds = ["--cluster-seeds", f"127.0.0.1:{ports[0]}"]
    nodes = [
        Node(tmp_path / "one", *seeds, "--cluster-secret-file", file, port=ports[0]),
        Node(tmp_path / "two", *seeds, "--cluster-secret", SECRET, port=ports[1]),
    ]
    try:
        for node in nodes:
            node.start_and_wait()
        wait_until(lambda: all(known_nodes(node) == 2 for node in nodes), 10, "they meet")
    finally:
        for node in nodes:
            node.end()
    file.write_text("short\n")
    for arguments, words in [
        (["--cluster-secret-file", file], ["cluster-secret-file", "16"]),
        (["--cluster-secret-file", "/no/such/file"], ["/no/such/file", "No such file"]),
        (["--cluster-secret-file", file, "--cluster-secret", SECRET], ["one of the two"]),
        (["--cluster-secret", "short"], ["at least 16 bytes"]),
    ]:
        program = run_program("--port", ports[0], *arguments)
        assert program.exit_status(REFUSES_WITHIN) != 0
        for word in words:
            assert word in program.output()


@pytest.mark.parametrize("arguments, starts", [
    (["--bind", "0.0.0.0", "--requirepass", "x"], False),
    (["--bind", "127.0.0.1", "--cluster-bind", "0.0.0.0"], False),
    (["--bind", "0.0.0.0", "--requirepass", "x", "--cluster-secret", SECRET], True),
    (["--bind", "0.0.0.0", "--requirepass", "x", "--cluster-bind", "127.0.0.1"], True),
    (["--bind", "0.0.0.0", "--protected-mode", "no"], True),
    (["--bind", "127.0.0.1"], True),
])
def test_a_peer_port_that_others_reach_needs_a_secret(run_program, tmp_path, arguments, starts):
    program = run_program("--port", free_ports(1)[0], *arguments)
    if starts:
        wait_until(lambda: "ready: " in program.output(), 5, "it starts")
    else:
        assert program.exit_status(REFUSES_WITHIN) != 0
        for word in ("cluster-secret", "cluster-bind", "protected-mode"):
            assert word in program.output()
