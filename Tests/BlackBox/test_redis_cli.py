"""The redis-cli that people already have, in the modes that COMPAT.md lists."""

import re
import signal
import subprocess
import threading

import pytest

from wire import encode_command

WITHIN = 30


def redis_cli(node, *arguments, stdin=None):
    """The output of redis-cli; its failure and any word on standard error fail the test."""
    finished = subprocess.run(
        ["redis-cli", "-p", str(node.port), *map(str, arguments)],
        input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True, timeout=WITHIN)
    assert finished.returncode == 0, finished
    assert finished.stderr == b"", finished
    return finished.stdout.decode()


def test_set_and_get(node):
    assert redis_cli(node, "SET", "key", "value") == "OK\n"
    assert redis_cli(node, "GET", "key") == "value\n"
    assert redis_cli(node, "--no-raw", "GET", "missing") == "(nil)\n"
    assert redis_cli(node, "--no-raw", "INCR", "counter") == "(integer) 1\n"


def test_resp3(node):
    redis_cli(node, "SET", "key", "value")
    assert redis_cli(node, "-3", "GET", "key") == "value\n"
    assert "1# \"timeout\" =>" in redis_cli(node, "-3", "--no-raw", "CONFIG", "GET", "timeout")


def test_database_numbers(node):
    redis_cli(node, "-n", 1, "SET", "key", "in one")
    assert redis_cli(node, "-n", 1, "GET", "key") == "in one\n"
    assert redis_cli(node, "GET", "key") == "\n"


def test_a_user_who_gives_a_password_that_nobody_asked_for_is_still_served(node):
    finished = subprocess.run(
        ["redis-cli", "-p", str(node.port), "-a", "secret", "--no-auth-warning", "PING"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=WITHIN)
    assert b"PONG" in finished.stdout
    assert b"without any password configured" in finished.stdout + finished.stderr


def test_commands_from_standard_input(node):
    commands = b"SET a 1\nINCR a\nGET a\nSET text \"with space\"\nGET text\nNOSUCH\n"
    answers = redis_cli(node, stdin=commands).splitlines()
    assert answers[:5] == ["OK", "2", "2", "OK", "with space"]
    assert answers[5].startswith("ERR unknown command 'NOSUCH'")


def test_a_value_from_standard_input(node):
    assert redis_cli(node, "-x", "SET", "blob", stdin=b"\x00line\r\n\xff" * 1000) == "OK\n"
    assert node.call("GET", "blob") == b"\x00line\r\n\xff" * 1000


def test_pipe_loads_a_file_of_commands(node):
    payload = b"".join(encode_command("SET", f"key-{i}", f"value-{i}") for i in range(10_000))
    output = redis_cli(node, "--pipe", stdin=payload)
    assert "errors: 0, replies: 10000" in output
    assert node.call("DBSIZE") == 10_000


def test_pipe_takes_inline_commands(node):
    output = redis_cli(node, "--pipe", stdin=b"SET a 1\r\nSET b 2\r\nINCR a\r\n")
    assert "errors: 0, replies: 3" in output
    assert node.call("GET", "a") == b"2"


@pytest.fixture
def thousand_keys(node):
    with node.client() as client:
        client.mset({f"key-{i}": "x" * (i + 1) for i in range(1000)})
    return node


def test_scan_finds_every_key(thousand_keys):
    keys = redis_cli(thousand_keys, "--scan").split()
    assert sorted(keys) == sorted(f"key-{i}" for i in range(1000))
    some = redis_cli(thousand_keys, "--scan", "--pattern", "key-99?").split()
    assert sorted(some) == [f"key-99{i}" for i in range(10)]


def test_bigkeys_finds_the_biggest(thousand_keys):
    output = redis_cli(thousand_keys, "--bigkeys")
    assert """Biggest string found '"key-999"' has 1000 bytes""" in output
    assert "Sampled 1000 keys in the keyspace!" in output


def test_stat_prints_keys_and_requests(thousand_keys):
    process = subprocess.Popen(
        ["redis-cli", "-p", str(thousand_keys.port), "--stat", "-i", "0.1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    watchdog = _terminate_after(process, WITHIN)
    try:
        lines = [process.stdout.readline() for _ in range(5)]
    finally:
        watchdog.cancel()
        process.terminate()
        process.communicate(timeout=WITHIN)
    assert "clients" in lines[1]
    assert re.match(r"1000\s+\d+(\.\d+)?[KMG]?\s+\d+", lines[3]), lines


def _terminate_after(process, seconds):
    timer = threading.Timer(seconds, process.terminate)
    timer.daemon = True
    timer.start()
    return timer


def test_latency_is_measured(node):
    output = redis_cli(node, "--latency", "-i", "1", "--raw")
    minimum, maximum, _, samples = output.split()
    assert float(minimum) <= float(maximum)
    assert int(samples) > 0


def test_info_and_client_list_are_readable(node):
    assert "role:master" in redis_cli(node, "INFO", "replication")
    assert "cmd=client|list" in redis_cli(node, "CLIENT", "LIST")


def test_an_interrupted_redis_cli_does_not_disturb_the_node(node):
    process = subprocess.Popen(
        ["redis-cli", "-p", str(node.port), "-r", "-1", "SET", "key", "value"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=WITHIN)
    assert node.call("GET", "key") == b"value"
