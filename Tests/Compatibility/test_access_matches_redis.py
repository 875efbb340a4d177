"""Users from files, and what a client may send before it has logged in: Redis's word against ours."""

import os

import pytest

from processes import Node, wait_until
from test_replies_match_redis import RawExchange, _read_until_alike_and_quiet
from wire import ConnectionClosed, encode_command

REDIS_SERVER = os.environ.get("REDIS_SERVER", "/usr/bin/redis-server")

# What an ACL file may hold. The name of the file is left out of the comparison.
FILES = [
    "",
    "\n\n  \n",
    "user a on\n",
    "user a on",
    "user a on\r\nuser b off\r\n",
    "  user a on >x +get ~k  \n\tuser b on\t\n",
    "user a  on   >x\n",
    "user b on\nuser a on\nuser c on (+get ~x) (+set)\n",
    "user default off\n",
    "user default on >pw ~* +@all\n",
    "user default on nopass ~* &* +@all\nuser a nopass on sanitize-payload %R~x &c +@all -get\n",
    "user a reset on reset\n",
    "user  on\n",
    "user a|b on ~a|b +select|0\n",
    "user a on +nosuch\n",
    "user a on +nosuch -nosuch +@nosuch\n",
    "user a foo bar\n",
    "user a on\n\nuser b foo +nosuch #short bar\nuser c on\n",
    "user a on\nuser a off\n",
    "user default on\nuser default on\n",
    "user\n",
    "user \n",
    "USER a on\n",
    "# a comment\n",
    "usr a on\nuser b on\nnonsense\n",
    "user a (+get\n",
    "user a (+get ~x\nuser b )\n",
    "user a (+nosuch)\nuser b (on)\n",
    "user a\tb on\n",
    "user a <x\nuser b ~* ~x\nuser c &* &x\n",
    "user a \"quoted\" on\n",
    "user a on allkeys resetkeys ~x allchannels resetchannels &x\n",
]

# Sent by a client that has to log in first.
REQUESTS = [
    b"*10\r\n$4\r\nPING\r\n" + b"$1\r\na\r\n" * 9,
    b"*11\r\n$4\r\nPING\r\n" + b"$1\r\na\r\n" * 10,
    b"*11\r\n",
    b"*2147483647\r\n",
    b"*2147483648\r\n",
    b"*x\r\n",
    b"*-1\r\nPING\r\n",
    b"*2\r\n$4\r\nPING\r\n$16384\r\n" + b"x" * 16384 + b"\r\n",
    b"*2\r\n$4\r\nPING\r\n$16385\r\n",
    b"*1\r\n$16385\r\n",
    b"*1\r\n$536870912\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$x\r\n",
    b"PING a b c d e f g h i j k l m\r\n",
    b"PING " + b"x" * 20000 + b"\r\n",
    encode_command("AUTH", "secret") + encode_command("MGET", *"abcdefghijklm"),
    encode_command("AUTH", "secret") + encode_command("ECHO", "x" * 17000),
    encode_command("AUTH", "wrong") + encode_command("MGET", *"abcdefghijklm"),
    encode_command("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "x")[:-3],
    encode_command("QUIT") + encode_command("PING"),
    encode_command("RESET") + encode_command("PING"),
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST / HTTP/1.1\r\n",
]


@pytest.fixture
def with_files(tmp_path):
    """Both servers, each with an ACL file of its own."""
    nodes = []
    for name, program in (("reference", REDIS_SERVER), ("subject", None)):
        file = tmp_path / f"{name}.acl"
        file.write_text("")
        nodes.append((Node(tmp_path / name, "--aclfile", file, program=program), file))
    try:
        for node, _ in nodes:
            node.start_and_wait()
        yield nodes
    finally:
        for node, _ in nodes:
            node.end()


def outcome(node, file, text):
    """What ACL LOAD says of the file, which users there are then, and the file that ACL SAVE writes."""
    with node.connect() as connection:
        file.write_text(text)
        words = [["ACL", "LOAD"], ["ACL", "LIST"], ["ACL", "SAVE"]]
        replies = [connection.ask(*line).raw.replace(bytes(file), b"FILE") for line in words]
        return replies, file.read_text()


@pytest.mark.parametrize("text", FILES)
def test_an_acl_file_is_what_it_is_to_redis(with_files, text):
    reference, subject = (outcome(node, file, text) for node, file in with_files)
    assert subject == reference


def test_acl_load_ends_the_connections_that_it_ends_in_redis(with_files):
    users = "user default on nopass ~* &* +@all\nuser a on nopass +@all\nuser b on nopass +@all\n"
    outcomes = []
    for node, file in with_files:
        file.write_text(users)
        assert node.call("ACL", "LOAD") == b"OK"
        with node.connect() as plain, node.connect() as a, node.connect() as b:
            a.call("AUTH", "a", "x")
            b.call("AUTH", "b", "x")
            replies = [b.ask("ACL", "LOAD").raw]
            for connection in (plain, a, b):
                try:
                    replies.append(connection.ask("ACL", "WHOAMI").raw)
                except (ConnectionClosed, ConnectionError):
                    replies.append("closed")
            outcomes.append(replies)
    assert outcomes[0] == outcomes[1]


@pytest.fixture
def with_password(reference_and_subject):
    for node in reference_and_subject:
        node.call("CONFIG", "SET", "requirepass", "secret")
    return reference_and_subject


@pytest.mark.parametrize("payload", REQUESTS, ids=lambda payload: repr(payload[:40]))
def test_before_a_login_bytes_mean_what_they_mean_to_redis(with_password, payload):
    for step in (len(payload), 997):
        exchanges = [RawExchange(server.port, 2) for server in with_password]
        try:
            for exchange in exchanges:
                exchange.send(payload, step)
            _read_until_alike_and_quiet(exchanges)
            assert exchanges[1].answer == exchanges[0].answer, f"by {step}"
        finally:
            for exchange in exchanges:
                exchange.close()


def test_the_default_user_of_a_conf_file_is_what_it_is_to_redis(tmp_path):
    lines = []
    rules = ["user default on nopass ~* +@all", "user a on >x (+get ~y) -@all +@string",
             'user "b" on "~quoted"']
    for name, program in (("reference", REDIS_SERVER), ("subject", None)):
        conf = tmp_path / f"{name}.conf"
        conf.write_text("\n".join(["requirepass ignored", *rules]) + "\n")
        node = Node(tmp_path / name, program=program)
        node.command.insert(1, str(conf))
        try:
            node.start_and_wait()
            wait_until(lambda: node.answers(), 5, "PING")
            lines.append(node.call("ACL", "LIST"))
        finally:
            node.end()
    assert lines[0] == lines[1]
