"""Users, passwords and what strangers get, with redis-py and with bare sockets."""

import re
import socket
import time

import pytest
import redis

from processes import started
from wire import ConnectionClosed, encode_command, error_word

REFUSES_WITHIN = 5.0


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param


def test_a_client_logs_in_when_it_connects(make_node, protocol):
    node = started(make_node("--requirepass", "secret"), password="secret")
    with node.client(protocol, password="secret") as client:
        assert client.set("k", "v")
        assert client.acl_whoami() in ("default", b"default")
    with node.client(protocol) as client, pytest.raises(redis.AuthenticationError):
        client.get("k")
    with node.client(protocol, password="wrong") as client:
        with pytest.raises(redis.AuthenticationError):
            client.get("k")
    with node.client(protocol, username="nobody", password="secret") as client:
        with pytest.raises(redis.AuthenticationError):
            client.get("k")


def test_users_may_do_what_their_rules_say(make_node, protocol):
    node = make_node().start_and_wait()
    with node.client(protocol, decode_responses=True) as admin:
        assert admin.acl_setuser(
            "alice", enabled=True, passwords=["+pw"], commands=["+get", "+set"], keys=["cart:*"])
        assert admin.acl_dryrun("alice", "get", "cart:1") in ("OK", True)
        assert "no permissions to access" in str(admin.acl_dryrun("alice", "get", "other"))
        user = admin.acl_getuser("alice")
        assert user["enabled"] is True
        assert user["commands"] == ["+get", "+set"]
        with node.client(protocol, username="alice", password="pw") as alice:
            assert alice.set("cart:1", "v")
            assert alice.get("cart:1") == b"v"
            with pytest.raises(redis.exceptions.NoPermissionError):
                alice.get("other")
            with pytest.raises(redis.exceptions.NoPermissionError):
                alice.delete("cart:1")
        log = admin.acl_log()
        # The library tells its name when it connects, which alice may not.
        assert [(entry["reason"], entry["object"]) for entry in log] == [
            ("command", "del"), ("key", "other"), ("command", "client|setinfo")]
        assert "alice" in str(log[0]["client-info"])
        assert "user=alice" not in admin.execute_command("CLIENT", "LIST")


def test_the_connections_of_a_deleted_user_end(make_node):
    node = make_node().start_and_wait()
    node.call("ACL", "SETUSER", "alice", "on", "nopass", "+@all", "~*")
    with node.connect() as alice, node.connect() as admin:
        assert alice.call("AUTH", "alice", "any") == b"OK"
        assert admin.call("ACL", "DELUSER", "alice") == 1
        with pytest.raises((ConnectionClosed, ConnectionError)):
            alice.call("PING")
        assert admin.call("PING") == b"PONG"


def test_an_acl_file_is_read_saved_and_read_again(make_node, tmp_path):
    file = tmp_path / "users.acl"
    file.write_text("user default on nopass ~* &* +@all\n\nuser bob on >pw ~b* +@read\n")
    node = make_node("--aclfile", file).start_and_wait()
    with node.connect() as bob, node.connect() as admin:
        assert bob.call("AUTH", "bob", "pw") == b"OK"
        assert error_word(bob.ask("SET", "b", "1").value) == "NOPERM"
        assert admin.call("ACL", "SETUSER", "eve", "on", "nopass", "(~e* +get)") == b"OK"
        assert admin.call("ACL", "SAVE") == b"OK"
        saved = file.read_text()
        assert ">pw" not in saved
        assert re.search(r"^user bob on #[0-9a-f]{64} ~b\* resetchannels -@all \+@read$", saved, re.M)
        assert "user eve on nopass resetchannels -@all (~e* resetchannels -@all +get)\n" in saved
        file.write_text(saved + "user mallory on +nosuch\n")
        answer = str(admin.ask("ACL", "LOAD").value)
        assert f"{file}:4: Error in applying operation '+nosuch'" in answer
        assert admin.call("ACL", "USERS") == [b"bob", b"default", b"eve"]
        file.write_text(saved + "user mallory on\n")
        assert admin.call("ACL", "LOAD") == b"OK"
        assert b"mallory" in admin.call("ACL", "USERS")
        with pytest.raises((ConnectionClosed, ConnectionError)):
            bob.call("GET", "b")
    assert node.terminate() == 0
    node.start_and_wait()
    assert b"mallory" in node.call("ACL", "USERS")
    with node.client(username="bob", password="pw") as bob:
        assert bob.get("b") is None


def test_acl_save_leaves_the_file_when_it_can_not_be_written(make_node, tmp_path):
    folder = tmp_path / "users"
    folder.mkdir()
    file = folder / "users.acl"
    file.write_text("user default on nopass ~* &* +@all\n")
    node = make_node("--aclfile", file).start_and_wait()
    file.unlink()
    folder.rmdir()
    answer = str(node.answer("ACL", "SAVE"))
    assert "error trying to save the ACLs" in answer
    assert "No such file" in str(node.answer("ACL", "LOAD"))
    folder.mkdir()
    assert node.call("ACL", "SAVE") == b"OK"
    assert file.stat().st_mode & 0o777 == 0o600


def test_users_of_the_conf_file_and_config_rewrite(tmp_path, make_node):
    conf = tmp_path / "users.conf"
    conf.write_text("# mine\nuser alice on >pw ~a* (~b +get) +@string\nloglevel notice\n")
    node = make_node()
    node.command.insert(1, str(conf))
    node.start_and_wait()
    with node.client(username="alice", password="pw") as alice:
        assert alice.set("a", "1")
    node.call("ACL", "SETUSER", "bob", "on", "nopass", '~"quoted"', "%R~x'y")
    node.call("CONFIG", "SET", "requirepass", "the word")
    with node.client(password="the word") as admin:
        assert admin.config_rewrite()
        before = admin.acl_list()
    text = conf.read_text()
    assert text.startswith("# mine\nloglevel notice\n")
    assert text.count("\nuser ") == 3
    assert node.terminate() == 0
    started(node, password="the word")
    with node.client(password="the word") as admin:
        # A default user that is described begins with ACL's `reset`, which says this, as in Redis.
        after = [line.replace(b" on sanitize-payload ", b" on ") for line in admin.acl_list()]
        assert after == before


@pytest.mark.parametrize("arguments, words", [
    (["--bind", "0.0.0.0"], ["0.0.0.0", "requirepass", "protected-mode"]),
    (["--bind", "127.0.0.1", "192.0.2.1"], ["192.0.2.1"]),
    (["--user", "default", "on", "nopass", "--bind", "::"], ["::", "requirepass"]),
    (["--user", "a", "+nosuch"], ["user 'a'", "'+nosuch'", "Unknown command"]),
    (["--user", "a", "on", "--user", "a", "off"], ["user 'a'", "Duplicate"]),
    (["--user", "a", "(+get"], ["user 'a'", "parenthesis"]),
    (["--user", "a", "on", "--aclfile", "x"], ["aclfile"]),
    (["--aclfile", "/no/such/file"], ["/no/such/file", "No such file"]),
])
def test_a_start_that_can_not_be_meant_is_refused(run_program, arguments, words):
    program = run_program("--port", "12345", *arguments)
    assert program.exit_status(REFUSES_WITHIN) != 0
    for word in words:
        assert word in program.output()


def test_a_bad_acl_file_stops_the_start_with_its_line(run_program, tmp_path):
    file = tmp_path / "bad.acl"
    file.write_text("user a on\n\nuser b #short\nusr c\n")
    program = run_program("--aclfile", file)
    assert program.exit_status(REFUSES_WITHIN) != 0
    assert f"{file}:3: The password hash must be" in program.output()
    assert f"{file}:4 should start with user keyword" in program.output()


def own_address():
    """An address of this machine that is not loopback; None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_protected_mode_refuses_strangers_until_there_is_a_password(make_node):
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    node = make_node(
        "--bind", "0.0.0.0", "--cluster-bind", "127.0.0.1", "--requirepass", "secret")
    started(node, password="secret")
    with node.client(password="secret") as admin:
        assert admin.config_set("requirepass", "")
        with socket.create_connection((address, node.port), timeout=5) as stranger:
            answer = b""
            while received := stranger.recv(4096):
                answer += received
        assert answer.startswith(b"-DENIED Redis is running in protected mode")
        assert answer.endswith(b"from the outside.\r\n")
        assert admin.config_set("protected-mode", "no")
        with socket.create_connection((address, node.port), timeout=5) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100) == b"+PONG\r\n"
        assert admin.config_set("protected-mode", "yes", "requirepass", "again")
        with socket.create_connection((address, node.port), timeout=5) as stranger:
            stranger.sendall(b"PING\r\n")
            assert stranger.recv(100) == b"-NOAUTH Authentication required.\r\n"


def test_who_keeps_guessing_waits_and_others_do_not(make_node):
    node = make_node().start_and_wait()
    with node.connect() as admin:
        admin.call("CONFIG", "SET", "requirepass", "secret")
        with node.connect() as guesser:
            for _ in range(10):
                answer = guesser.ask("AUTH", "wrong").value
                assert str(answer).startswith("WRONGPASS invalid username-password pair")
            began = time.monotonic()
            for password in ("wrong", "secret"):
                answer = str(guesser.ask("AUTH", password).value)
                assert re.fullmatch(
                    r"WRONGPASS too many failed attempts from this address\. Try again in \d+ s\.",
                    answer)
            assert time.monotonic() - began < 1
            assert admin.call("PING") == b"PONG"
            seconds = int(re.search(r"in (\d+) s", answer)[1])
            assert seconds <= 7
            time.sleep(seconds)
            assert guesser.call("AUTH", "secret") == b"OK"


def test_a_stranger_is_given_little_room(make_node):
    node = make_node().start_and_wait()
    node.call("CONFIG", "SET", "requirepass", "secret")
    for request, error in [
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*1\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
    ]:
        with socket.create_connection(("127.0.0.1", node.port), timeout=5) as stranger:
            stranger.sendall(request)
            answer = b""
            while received := stranger.recv(4096):
                answer += received
            assert answer == error
    # A login and what it allows may come in one packet.
    with socket.create_connection(("127.0.0.1", node.port), timeout=5) as client:
        large = b"x" * 40_000
        client.sendall(
            encode_command("AUTH", "secret") + encode_command("SET", "k", large)
            + encode_command("MGET", *["k"] * 3, *["none"] * 20)
            + encode_command("STRLEN", "k"))
        answer = b""
        while not answer.endswith(b":40000\r\n"):
            received = client.recv(1 << 16)
            assert received, answer[:200]
            answer += received
        assert answer.startswith(b"+OK\r\n+OK\r\n*23\r\n")


def test_the_nodes_of_a_cluster_need_no_password_among_themselves(make_cluster):
    cluster = make_cluster(3)
    for node in cluster:
        node.call("ACL", "SETUSER", "reader", "on", "nopass", "+get", "+set", "~a*")
    with cluster[0].connect() as reader:
        assert reader.call("AUTH", "reader", "x") == b"OK"
        for number in range(30):
            assert reader.call("SET", f"a{number}", "v") == b"OK"
            assert reader.call("GET", f"a{number}") == b"v"
            assert error_word(reader.ask("GET", f"b{number}").value) == "NOPERM"
    for node in cluster:
        node.call("CONFIG", "SET", "requirepass", "secret")
    with cluster[1].client(password="secret") as client:
        assert client.dbsize() == 30
        assert client.get("a7") == b"v"
