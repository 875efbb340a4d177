"""The program itself: its command line, its conf file, its start and its end."""

import re
import signal
import time

import pytest

from processes import Node, free_ports
from wire import ConnectionClosed, encode_command

REFUSES_WITHIN = 5.0


def test_help_names_the_usage_and_exits_with_0(run_program):
    program = run_program("--help")
    assert program.exit_status(REFUSES_WITHIN) == 0
    for word in ("coterie-server", "--port", "--local-cluster", "--version"):
        assert word in program.output()


def test_version_is_one_line_with_a_number_and_exits_with_0(run_program):
    program = run_program("--version")
    assert program.exit_status(REFUSES_WITHIN) == 0
    assert re.search(r"\d+\.\d+", program.output())
    assert len(program.output().strip().splitlines()) == 1


@pytest.mark.parametrize("arguments, words", [
    (["--nosuch-directive", "1"], ["nosuch-directive"]),
    (["--port", "99999999"], ["port", "99999999", "65535"]),
    (["--port", "abc"], ["port", "abc"]),
    (["--loglevel", "shouting"], ["loglevel", "shouting", "notice", "warning"]),
    (["--keyspace.default.n", "9"], ["keyspace.default.n", "9", "7"]),
    (["--keyspace.default.w", "most"], ["keyspace.default.w", "most", "quorum"]),
    (["--keyspace.cart.conflict", "maybe"], ["keyspace.cart.conflict", "lww", "siblings"]),
    (["--keyspace.cart.blind-write", "maybe"],
     ["keyspace.cart.blind-write", "overwrite", "sibling", "reject"]),
    (["--keyspace.cart.colour", "red"], ["keyspace.cart.colour"]),
    (["--keyspace.cart.n", "2", "--keyspace.cart.w", "3"], ["keyspace.cart.w"]),
    (["--cluster-seeds", "nonsense"], ["cluster-seeds", "nonsense"]),
    (["--port"], ["port"]),
    (["/no/such/file.conf"], ["/no/such/file.conf"]),
])
def test_a_bad_command_line_stops_the_start_and_says_what_is_wrong(run_program, arguments, words):
    program = run_program(*arguments)
    assert program.exit_status(REFUSES_WITHIN) != 0
    for word in words:
        assert word in program.output()


@pytest.mark.parametrize("line, words", [
    ("nosuch-directive yes", ["nosuch-directive"]),
    ("port 99999999", ["port", "99999999", "65535"]),
    ("keyspace.default.n 0", ["keyspace.default.n", "0", "7"]),
    ('dir "unbalanced', ["unbalanced"]),
])
def test_a_bad_line_of_the_conf_file_is_named_by_its_number(run_program, tmp_path, line, words):
    conf = tmp_path / "bad.conf"
    conf.write_text(f"# a comment\n\n{line}\nloglevel notice\n")
    program = run_program(conf)
    assert program.exit_status(REFUSES_WITHIN) != 0
    assert re.search(r"\b3\b", program.output().replace(str(conf), "")), program.output()
    for word in words:
        assert word in program.output()


def test_a_conf_file_is_read_and_the_command_line_overrides_it(run_program, tmp_path):
    first, second = free_ports(1)[0], free_ports(1)[0]
    conf = tmp_path / "node.conf"
    conf.write_text(f"# ours\nport {first}\ndir {tmp_path}\ntimeout 123\ndatabases 4\n")
    run_program(conf, "--port", second, "--timeout", "321")
    node = Node(tmp_path / "unused", port=second)
    deadline = time.monotonic() + 10
    while not node.answers():
        assert time.monotonic() < deadline, "the node does not answer on the overriding port"
        time.sleep(0.02)
    assert node.call("CONFIG", "GET", "timeout") == [b"timeout", b"321"]
    assert node.call("CONFIG", "GET", "databases") == [b"databases", b"4"]
    with node.connect() as connection:
        assert connection.ask("SELECT", 3).value == b"OK"
        assert connection.ask("SELECT", 4).is_error


def test_a_port_that_is_taken_stops_the_start_and_is_named(make_node, run_program, tmp_path):
    node = make_node().start_and_wait()
    second = run_program("--port", node.port, "--dir", tmp_path)
    assert second.exit_status(REFUSES_WITHIN) != 0
    assert str(node.port) in second.output()
    assert node.answers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_ends_the_program_with_0(make_node, number):
    node = make_node().start_and_wait()
    node.call("SET", "key", "value")
    node.signal(number)
    assert node.exit_status(10) == 0


def test_a_stop_leaves_no_reply_half_written(make_node):
    node = make_node().start_and_wait()
    with node.connect() as connection:
        connection.call("SET", "key", b"v" * 10_000)
        connection.send(encode_command("GET", "key") * 200)
        connection.read_reply()
        node.signal(signal.SIGTERM)
        assert all(reply.value == b"v" * 10_000 for reply in connection.read_until_closed(10))
    assert node.exit_status(10) == 0


def test_a_stopped_node_accepts_no_connection(make_node):
    node = make_node().start_and_wait()
    assert node.terminate() == 0
    with pytest.raises((ConnectionClosed, OSError)):
        node.call("PING")


def test_a_node_stops_with_idle_clients_connected(make_node):
    node = make_node().start_and_wait()
    idle = [node.connect() for _ in range(20)]
    try:
        assert node.terminate(10) == 0
    finally:
        for connection in idle:
            connection.close()


def test_the_log_holds_no_values_of_users(make_node):
    node = make_node("--loglevel", "debug").start_and_wait()
    node.call("SET", "key-of-user", "secret-of-user")
    node.call("GET", "key-of-user")
    node.terminate()
    assert "secret-of-user" not in node.output()
