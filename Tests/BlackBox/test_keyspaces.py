"""Keyspaces by CONFIG: the same answer on every node within a second, and after every restart."""

import time

import pytest

from processes import quorum_arguments, wait_until
from wire import ServerError

SPREADS_WITHIN = 1.0


def settings_of(node, pattern="keyspace.*"):
    """CONFIG GET as a dictionary of text."""
    reply = [word.decode() for word in node.call("CONFIG", "GET", pattern)]
    return dict(zip(reply[0::2], reply[1::2]))


def expect_everywhere(nodes, expected, absent=(), within=SPREADS_WITHIN):
    """Waits until every node has the expected settings and none of the absent ones."""
    def differences():
        found = {node.port: settings_of(node) for node in nodes}
        return {
            port: settings for port, settings in found.items()
            if not expected.items() <= settings.items() or any(name in settings for name in absent)
        }

    deadline = time.monotonic() + within
    while (different := differences()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not different, f"expected {expected} without {list(absent)} within {within} s"


@pytest.fixture
def cluster(cluster):
    """The shared cluster, without the keyspaces of the test before."""
    yield cluster
    names = {name.split(".")[1] for name in settings_of(cluster[0])} - {"default"}
    for name in names:
        cluster[0].call("CONFIG", "SET", f"keyspace.{name}", "")
    for node in cluster:
        wait_until(
            lambda: all(name.startswith("keyspace.default.") for name in settings_of(node)),
            5, "the keyspaces of the test are gone")


def test_the_default_keyspace_reads_the_same_everywhere(cluster):
    expected = {
        "keyspace.default.n": "3", "keyspace.default.w": "2", "keyspace.default.r": "2",
        "keyspace.default.conflict": "lww", "keyspace.default.blind-write": "overwrite",
        "keyspace.default.sloppy": "yes", "keyspace.default.ttl": "0",
    }
    expect_everywhere(cluster, expected)


@pytest.mark.parametrize("setter", [0, 1, 2])
def test_a_setting_made_on_one_node_is_on_all_within_a_second(cluster, setter):
    answer = cluster[setter].call(
        "CONFIG", "SET", "keyspace.cart.n", 3, "keyspace.cart.w", 1, "keyspace.cart.r", "all",
        "keyspace.cart.conflict", "siblings", "keyspace.cart.ttl", 60)
    assert answer == b"OK"
    expect_everywhere(cluster, {
        "keyspace.cart.n": "3", "keyspace.cart.w": "1", "keyspace.cart.r": "all",
        "keyspace.cart.conflict": "siblings", "keyspace.cart.ttl": "60",
    })
    everything = [settings_of(node) for node in cluster]
    assert everything[0] == everything[1] == everything[2]


def test_the_setter_reads_its_own_setting_at_once(cluster):
    cluster[1].call("CONFIG", "SET", "keyspace.cart.w", "one")
    assert settings_of(cluster[1], "keyspace.cart.w") == {"keyspace.cart.w": "one"}


def test_the_later_setting_wins_everywhere(cluster):
    for turn in range(9):
        cluster[turn % 3].call("CONFIG", "SET", "keyspace.cart.ttl", turn + 1)
        expect_everywhere(cluster, {"keyspace.cart.ttl": str(turn + 1)})


def test_settings_made_on_three_nodes_at_once_end_alike(cluster):
    for turn in range(5):
        for number, node in enumerate(cluster):
            node.call("CONFIG", "SET", "keyspace.cart.ttl", 100 * turn + number)

        def is_one_of_the_three_everywhere():
            found = {settings_of(node).get("keyspace.cart.ttl") for node in cluster}
            return len(found) == 1 and found <= {str(100 * turn + number) for number in range(3)}

        wait_until(is_one_of_the_three_everywhere, SPREADS_WITHIN, "three nodes agree on one ttl")


def test_settings_of_different_parameters_do_not_undo_each_other(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.cart.ttl", 5)
    cluster[1].call("CONFIG", "SET", "keyspace.cart.conflict", "siblings")
    cluster[2].call("CONFIG", "SET", "keyspace.cart.sloppy", "no")
    expect_everywhere(cluster, {
        "keyspace.cart.ttl": "5", "keyspace.cart.conflict": "siblings",
        "keyspace.cart.sloppy": "no"})


@pytest.mark.parametrize("pairs, words", [
    (["keyspace.cart.n", "0"], ["keyspace.cart.n"]),
    (["keyspace.cart.n", "8"], ["keyspace.cart.n"]),
    (["keyspace.cart.n", "abc"], ["keyspace.cart.n"]),
    (["keyspace.cart.w", "0"], ["keyspace.cart.w"]),
    (["keyspace.cart.w", "most"], ["keyspace.cart.w"]),
    (["keyspace.cart.r", "-1"], ["keyspace.cart.r"]),
    (["keyspace.cart.conflict", "maybe"], ["keyspace.cart.conflict"]),
    (["keyspace.cart.blind-write", "maybe"], ["keyspace.cart.blind-write"]),
    (["keyspace.cart.sloppy", "maybe"], ["keyspace.cart.sloppy"]),
    (["keyspace.cart.ttl", "-1"], ["keyspace.cart.ttl"]),
    (["keyspace.cart.ttl", "99999999999999999999"], ["keyspace.cart.ttl"]),
    (["keyspace.cart.colour", "red"], ["keyspace.cart.colour"]),
    (["keyspace..n", "1"], ["keyspace..n"]),
    (["keyspace.cart.w", "4"], ["keyspace.cart.w"]),
    (["keyspace.cart.n", "2", "keyspace.cart.w", "3"], ["keyspace.cart.w"]),
    (["keyspace.cart.r", "3", "keyspace.cart.n", "2"], ["keyspace.cart.r"]),
    (["keyspace.cart.ttl", "5", "keyspace.cart.colour", "red"], ["keyspace.cart.colour"]),
    (["keyspace.cart.ttl", "5", "keyspace.cart.n", "9"], ["keyspace.cart.n"]),
    (["keyspace.cart.ttl", "5", "timeout", "abc"], ["timeout"]),
    (["keyspace.cart.ttl", "5", "nosuch", "1"], ["nosuch"]),
])
def test_a_bad_combination_is_refused_by_name_and_applies_nothing(cluster, pairs, words):
    before = settings_of(cluster[0], "*")
    with pytest.raises(ServerError) as refusal:
        cluster[0].call("CONFIG", "SET", *pairs)
    for word in words:
        assert word in str(refusal.value)
    assert settings_of(cluster[0], "*") == before
    time.sleep(0.2)
    for node in cluster:
        assert not any(name.startswith("keyspace.cart") for name in settings_of(node))


def test_a_later_setting_is_checked_against_the_earlier_ones(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.cart.n", 3, "keyspace.cart.w", 3)
    expect_everywhere(cluster, {"keyspace.cart.w": "3"})
    with pytest.raises(ServerError, match=r"keyspace\.cart\.[nw]"):
        cluster[1].call("CONFIG", "SET", "keyspace.cart.n", 2)
    assert cluster[1].call("CONFIG", "SET", "keyspace.cart.n", 2, "keyspace.cart.w", 2) == b"OK"
    expect_everywhere(cluster, {"keyspace.cart.n": "2", "keyspace.cart.w": "2"})


def test_the_empty_value_removes_a_keyspace_everywhere(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.cart.ttl", 60, "keyspace.cartel.ttl", 61)
    expect_everywhere(cluster, {"keyspace.cart.ttl": "60", "keyspace.cartel.ttl": "61"})
    assert cluster[2].call("CONFIG", "SET", "keyspace.cart", "") == b"OK"
    expect_everywhere(cluster, {"keyspace.cartel.ttl": "61"}, absent=["keyspace.cart.ttl"])
    cluster[1].call("CONFIG", "SET", "keyspace.cart.w", 1)
    expect_everywhere(cluster, {"keyspace.cart.w": "1"})
    assert settings_of(cluster[0]).get("keyspace.cart.ttl", "0") == "0", "reborn without its ttl"


def test_the_default_keyspace_cannot_be_removed(cluster):
    with pytest.raises(ServerError):
        cluster[0].call("CONFIG", "SET", "keyspace.default", "")
    assert settings_of(cluster[0])["keyspace.default.n"] == "3"


def test_other_parameters_stay_the_nodes_own(cluster):
    cluster[0].call("CONFIG", "SET", "timeout", 1234)
    time.sleep(SPREADS_WITHIN)
    assert settings_of(cluster[0], "timeout") == {"timeout": "1234"}
    assert settings_of(cluster[1], "timeout") == {"timeout": "0"}
    cluster[0].call("CONFIG", "SET", "timeout", 0)


def test_the_longest_name_governs_a_key_and_a_name_ends_at_the_colon(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.app.ttl", 100, "keyspace.app:cart.ttl", 200)
    expect_everywhere(cluster, {"keyspace.app.ttl": "100", "keyspace.app:cart.ttl": "200"})
    expected = {
        "app:cart:1": 200, "app:cart:": 200, "app:cart": 100, "app:cartel:1": 100, "app:": 100,
        "app:x": 100, "app": -1, "application:1": -1, "xapp:1": -1,
    }
    for number, (key, ttl) in enumerate(expected.items()):
        assert cluster[number % 3].call("SET", key, "v") == b"OK"
        found = cluster[(number + 1) % 3].call("TTL", key)
        assert found == ttl or ttl > 0 and ttl - 2 <= found <= ttl, (key, found, ttl)


def test_the_ttl_of_a_keyspace_is_for_keys_written_without_one(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.session.ttl", 100)
    expect_everywhere(cluster, {"keyspace.session.ttl": "100"})
    with cluster[1].connect() as connection:
        connection.call("SET", "session:own", "v", "EX", 1000)
        assert 998 <= connection.call("TTL", "session:own") <= 1000
        connection.call("MSET", "session:a", 1, "session:b", 2)
        assert 98 <= connection.call("TTL", "session:a") <= 100
        connection.call("INCR", "session:n")
        assert 98 <= connection.call("TTL", "session:n") <= 100
        connection.call("SETNX", "session:nx", 1)
        assert 98 <= connection.call("TTL", "session:nx") <= 100


def test_one_copy_in_one_keyspace_is_found_from_every_node(cluster):
    cluster[0].call("CONFIG", "SET", "keyspace.one.n", 1, "keyspace.one.w", 1, "keyspace.one.r", 1)
    expect_everywhere(cluster, {"keyspace.one.n": "1"})
    for number in range(200):
        cluster[number % 3].call("SET", f"one:{number}", number)
        assert cluster[(number + 1) % 3].call("GET", f"one:{number}") == b"%d" % number
        assert cluster[(number + 2) % 3].call("GET", f"one:{number}") == b"%d" % number


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_keyspaces_survive_the_restart_of_the_whole_cluster(make_cluster, end):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    expected = {"keyspace.cart.conflict": "siblings", "keyspace.cart.ttl": "60",
                "keyspace.default.r": "all"}
    cluster[0].call("CONFIG", "SET", *[word for pair in expected.items() for word in pair])
    cluster[0].call("CONFIG", "SET", "keyspace.gone.ttl", 5)
    expect_everywhere(cluster, expected | {"keyspace.gone.ttl": "5"})
    cluster[1].call("CONFIG", "SET", "keyspace.gone", "")
    expect_everywhere(cluster, expected, absent=["keyspace.gone.ttl"])
    identities = [node.call("CLUSTER", "MYID") for node in cluster]
    for node in cluster:
        getattr(node, end)()
    cluster.start()
    expect_everywhere(cluster, expected, absent=["keyspace.gone.ttl"])
    assert [node.call("CLUSTER", "MYID") for node in cluster] == identities


def test_a_node_that_was_away_learns_what_was_set_meanwhile(make_cluster):
    cluster = make_cluster()
    cluster[0].call("CONFIG", "SET", "keyspace.early.ttl", 1, "keyspace.cart.ttl", 2)
    expect_everywhere(cluster, {"keyspace.early.ttl": "1", "keyspace.cart.ttl": "2"})
    cluster[2].terminate()
    cluster[0].call("CONFIG", "SET", "keyspace.cart.ttl", 3, "keyspace.late.ttl", 4)
    cluster[1].call("CONFIG", "SET", "keyspace.early", "")
    cluster[2].start_and_wait()
    cluster.wait_until_complete()
    expect_everywhere(cluster, {"keyspace.cart.ttl": "3", "keyspace.late.ttl": "4"},
                      absent=["keyspace.early.ttl"])


CONF_WITH_COMMENTS = """\
# The first line is a comment.
port {port}

# How long an idle client may stay:
timeout 10   
# -- and this belongs to nobody --
keyspace.cart.ttl 60

# The end.
"""


def test_config_rewrite_keeps_the_comments_and_writes_what_was_set(
        run_program, make_node, tmp_path):
    view = make_node()
    conf = tmp_path / "node.conf"
    conf.write_text(CONF_WITH_COMMENTS.format(port=view.port))
    program = run_program(conf, "--dir", tmp_path)
    wait_until(view.answers, 10, "the node answers")
    assert view.call(
        "CONFIG", "SET", "timeout", 77, "loglevel", "warning", "keyspace.cart.ttl", 61) == b"OK"
    assert view.call("CONFIG", "REWRITE") == b"OK"

    lines = [line.strip() for line in conf.read_text().splitlines()]
    comments = [line for line in lines if line.startswith("#")]
    expected = [line for line in CONF_WITH_COMMENTS.splitlines() if line.startswith("#")]
    assert [comment for comment in comments if comment in expected] == expected
    assert lines[0] == expected[0] and lines[1] == f"port {view.port}"
    assert lines.index("timeout 77") == lines.index(expected[1]) + 1
    assert "loglevel warning" in lines
    assert "timeout 10" not in lines

    assert program.terminate() == 0
    run_program(conf, "--dir", tmp_path)
    wait_until(view.answers, 10, "the node answers again, from the rewritten file")
    assert settings_of(view, "timeout") == {"timeout": "77"}
    assert settings_of(view, "loglevel") == {"loglevel": "warning"}
    assert settings_of(view, "keyspace.cart.ttl") == {"keyspace.cart.ttl": "61"}


def test_the_state_files_of_two_nodes_with_one_dir_do_not_mix(tmp_path, make_node):
    """A dir that two nodes share is a mistake: refused, or kept apart, but never mixed."""
    first = make_node().start_and_wait()
    identity = first.call("CLUSTER", "MYID")
    second = make_node("--dir", first.directory)
    second.start()
    wait_until(lambda: second.answers() or not second.is_running(), 10, "started or refused")
    if second.is_running():
        assert second.call("CLUSTER", "MYID") != identity
    assert first.call("CLUSTER", "MYID") == identity
