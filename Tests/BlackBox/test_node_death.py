"""`kill -9` of nodes under load: what was acknowledged stays, what is refused says so."""

import threading
import time
from dataclasses import dataclass, field

import pytest

from processes import quorum_arguments, wait_until
from wire import Connection, ConnectionClosed, NoReply, ServerError, error_word

GOES_ON_WITHIN = 1.0
SCHEDULING_SLACK = 0.5
CONFIG_SPREADS_WITHIN = 1.0
REPAIRS_WITHIN = 10.0
HONEST_REFUSALS = {"NOREPLICAS", "NOQUORUM"}
KEYS_PER_WRITER = 50


@dataclass
class Attempt:
    """One SET: when it was sent, when it was answered, and with what value or failure."""

    key: str
    value: int
    sent: float
    answered: float = 0.0
    answer: object = None

    @property
    def is_acknowledged(self):
        return self.answer == b"OK"


@dataclass
class Writer:
    """Writes ever higher numbers under its own keys through one node, until it is told to stop."""

    name: str
    port: int
    stop: threading.Event
    attempts: list = field(default_factory=list)

    def run(self):
        value = 0
        with Connection(self.port, timeout=10) as connection:
            while not self.stop.is_set():
                value += 1
                key = f"{self.name}-{value % KEYS_PER_WRITER}"
                attempt = Attempt(key, value, time.monotonic())
                self.attempts.append(attempt)
                try:
                    attempt.answer = connection.ask("SET", key, value).value
                except (ConnectionClosed, NoReply, OSError) as failure:
                    attempt.answer = failure
                    return
                finally:
                    attempt.answered = time.monotonic()


class Load:
    """Several writers in threads."""

    def __init__(self, nodes, writers_per_node=2):
        self.stop = threading.Event()
        self.writers = [
            Writer(f"writer-{node.port}-{number}", node.port, self.stop)
            for node in nodes for number in range(writers_per_node)
        ]
        self.threads = [threading.Thread(target=writer.run, daemon=True) for writer in self.writers]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a writer waits for a reply that does not come"

    def attempts(self):
        return [attempt for writer in self.writers for attempt in writer.attempts]

    def has_written(self, count):
        return all(
            sum(attempt.is_acknowledged for attempt in writer.attempts) >= count
            for writer in self.writers)


def acceptable_values(attempts):
    """For every key the last acknowledged value and whatever was tried after it.

    A write without an acknowledgement may have been applied or not; a later one may have won.
    """
    acceptable = {}
    for attempt in attempts:
        if attempt.is_acknowledged:
            acceptable[attempt.key] = {attempt.value}
        else:
            acceptable.setdefault(attempt.key, {None}).add(attempt.value)
    return acceptable


def assert_nothing_acknowledged_is_lost(node, acceptable):
    with node.connect() as connection:
        for key, values in acceptable.items():
            found = connection.call("GET", key)
            number = None if found is None else int(found)
            assert number in values, (node.port, key, found, values)


def set_everywhere(nodes, parameter, value):
    """CONFIG SET on the first of the nodes, then waits until all of them have it."""
    nodes[0].call("CONFIG", "SET", parameter, value)
    for node in nodes:
        wait_until(
            lambda: node.call("CONFIG", "GET", parameter)[1:] == [str(value).encode()],
            CONFIG_SPREADS_WITHIN + SCHEDULING_SLACK, f"{parameter} {value} on {node.port}")


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_with_one_of_three_killed_commands_go_on_and_nothing_acknowledged_is_lost(
        make_cluster, victim):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    survivors = [node for number, node in enumerate(cluster) if number != victim]
    with Load(survivors) as load, Load([cluster[victim]]) as doomed_load:
        wait_until(
            lambda: load.has_written(200) and doomed_load.has_written(200), 30, "the load runs")
        killed = time.monotonic()
        cluster[victim].kill()
        time.sleep(3)

    attempts = load.attempts()
    for attempt in attempts:
        assert attempt.is_acknowledged or isinstance(attempt.answer, ServerError), attempt
    for attempt in attempts:
        since_kill = attempt.sent - killed
        if since_kill > GOES_ON_WITHIN:
            assert attempt.is_acknowledged, f"{since_kill:.3f} s after the kill: {attempt}"
        if not attempt.is_acknowledged:
            assert attempt.answer.word in HONEST_REFUSALS, attempt
            assert attempt.answered > killed, f"before the kill: {attempt}"
        waited = attempt.answered - attempt.sent
        assert waited < GOES_ON_WITHIN + SCHEDULING_SLACK, f"{waited:.3f} s for {attempt}"
    after = [attempt for attempt in attempts if attempt.sent > killed + GOES_ON_WITHIN]
    assert len(after) > 200, f"only {len(after)} commands in two seconds after the kill"
    acceptable = acceptable_values(attempts) | acceptable_values(doomed_load.attempts())
    for node in survivors:
        assert_nothing_acknowledged_is_lost(node, acceptable)


def test_reads_and_every_kind_of_command_go_on_with_one_of_three_killed(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    keys = [f"key-{number}" for number in range(200)]
    cluster[0].call("MSET", *[word for key in keys for word in (key, 10)])
    cluster[2].kill()
    time.sleep(GOES_ON_WITHIN)
    for node in (cluster[0], cluster[1]):
        with node.connect() as connection:
            assert connection.call("MGET", *keys) == [b"10"] * 200
            assert connection.call("EXISTS", *keys) == 200
            assert connection.call("DBSIZE") == 200
            assert sorted(connection.call("KEYS", "*")) == sorted(key.encode() for key in keys)
            for key in keys:
                assert connection.call("INCR", key) == 11
                assert connection.call("DECR", key) == 10
                assert connection.call("SET", key, "no", "NX") is None
    assert cluster[0].call("DEL", *keys[:50]) == 50
    assert cluster[1].call("EXISTS", *keys) == 150


def test_a_killed_node_comes_back_and_read_repair_brings_it_up(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    first, second, victim = cluster
    values = {f"key-{number}": f"old-{number}" for number in range(300)}
    first.call("MSET", *[word for pair in values.items() for word in pair])
    victim.kill()
    time.sleep(GOES_ON_WITHIN)
    for number in range(0, 300, 2):
        values[f"key-{number}"] = f"new-{number}"
        second.call("SET", f"key-{number}", f"new-{number}")
    first.call("DEL", "key-1", "key-3")
    values["key-1"] = values["key-3"] = None
    victim.start_and_wait()
    cluster.wait_until_complete()
    expected = {key: value and value.encode() for key, value in values.items()}
    # Until it is refilled its "not found" is no vote, and R=3 wants three.
    wait_until(lambda: victim.info("coterie")["filled"] == "1", REPAIRS_WITHIN,
               "the node that was away is refilled")

    with victim.connect() as connection:
        for key, value in expected.items():
            assert connection.call("GET", key) == value, f"{key} with R=2 on the node that was away"

    set_everywhere([first, second, victim], "keyspace.default.r", 3)
    with first.connect() as connection:
        for key, value in expected.items():
            assert connection.call("GET", key) == value, f"{key} with R=3"
    set_everywhere([first, second, victim], "keyspace.default.r", 1)
    with victim.connect() as connection:
        wait_until(
            lambda: all(connection.call("GET", key) == value for key, value in expected.items()),
            REPAIRS_WITHIN, "the node that was away has every copy by itself (R=1)")


def test_with_two_of_three_killed_writes_are_refused_and_change_nothing(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    survivor, second, third = cluster
    survivor.call("MSET", "key", "old", "counter", 5)
    second.kill()
    third.kill()
    with survivor.connect() as connection:
        wait_until(
            lambda: error_word(connection.ask("SET", "probe", 1).value) == "NOREPLICAS",
            GOES_ON_WITHIN + SCHEDULING_SLACK, "writes are refused with NOREPLICAS")
        for command in (
            ("SET", "key", "new"), ("INCR", "counter"), ("DEL", "key"), ("GETDEL", "key"),
            ("APPEND", "key", "x"), ("EXPIRE", "key", 100), ("MSET", "key", "new", "other", 1),
            ("SETNX", "other", 1), ("SET", "key", "new", "XX"),
        ):
            answer = connection.ask(*command).value
            assert error_word(answer) == "NOREPLICAS", (command, answer)
        for command in (("GET", "key"), ("MGET", "key", "counter"), ("EXISTS", "key")):
            answer = connection.ask(*command).value
            assert isinstance(answer, ServerError), f"{command} answered {answer!r} without its R"
        assert connection.call("PING") == b"PONG"
        assert b"cluster_known_nodes:3" in connection.call("CLUSTER", "INFO")

    second.start_and_wait()
    third.start_and_wait()
    cluster.wait_until_complete()
    for node in cluster:
        wait_until(lambda: node.answer("SET", "probe", 2) == b"OK", 5, "writes are back")
        assert node.call("MGET", "key", "counter", "other") == [b"old", b"5", None]


def test_a_refusal_in_doubt_has_the_agreed_words(make_cluster):
    """At W=3 a kill leaves writes short of W: each says how short, or that nothing was done."""
    cluster = make_cluster(arguments=quorum_arguments(3, 3, 1))
    survivors = [cluster[0], cluster[1]]
    with Load(survivors, writers_per_node=4) as load:
        wait_until(lambda: load.has_written(100), 30, "the load runs")
        cluster[2].kill()
        time.sleep(1.5)
    refusals = [str(a.answer) for a in load.attempts() if isinstance(a.answer, ServerError)]
    assert refusals, "with W=3 and two nodes no write can succeed"
    for refusal in refusals:
        assert refusal.startswith("NOREPLICAS ") or refusal in (
            "NOQUORUM 1 of 3 acknowledged; the write may have been applied",
            "NOQUORUM 2 of 3 acknowledged; the write may have been applied"), refusal
    assert error_word(cluster[0].answer("SET", "late", 1)) == "NOREPLICAS"


def test_w_and_r_as_words_follow_the_cluster_and_numbers_do_not(make_cluster):
    cluster = make_cluster(arguments=["--keyspace.lax.w", "one", "--keyspace.lax.r", "one",
                                      "--keyspace.strict.w", "all"])
    cluster[0].call("SET", "lax:key", "v")
    cluster[0].call("SET", "strict:key", "v")
    cluster[1].kill()
    time.sleep(GOES_ON_WITHIN)
    assert cluster[0].call("SET", "lax:key", "w") == b"OK"
    assert error_word(cluster[0].answer("SET", "strict:key", "w")) == "NOREPLICAS"
    cluster[2].kill()
    time.sleep(GOES_ON_WITHIN)
    assert cluster[0].call("SET", "lax:key", "x") == b"OK"
    assert cluster[0].call("GET", "lax:key") == b"x"


def test_nodes_killed_one_after_another_lose_nothing_that_was_read_in_between(make_cluster):
    """Each node dies in its turn, returns empty, and is filled by reads before the next dies."""
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 3))
    keys = {f"key-{number}": b"value-%d" % number for number in range(200)}
    with cluster[0].connect() as connection:
        for key, value in keys.items():
            connection.call("SET", key, value)
    for victim in cluster:
        victim.kill()
        time.sleep(GOES_ON_WITHIN)
        victim.start_and_wait()
        cluster.wait_until_complete()
        for _ in range(2):
            with victim.connect() as connection:
                for key, value in keys.items():
                    assert connection.call("GET", key) == value, (victim.port, key)


def test_program_order_survives_the_death_of_another_node(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    with cluster[0].connect() as connection:
        threading.Timer(0.3, cluster[1].kill).start()
        deadline = time.monotonic() + 3
        number = 0
        while time.monotonic() < deadline:
            number += 1
            written = connection.ask("SET", f"key-{number % 20}", number).value
            read = connection.ask("GET", f"key-{number % 20}").value
            if written == b"OK" and not isinstance(read, ServerError):
                assert read == b"%d" % number
            for answer in (written, read):
                if isinstance(answer, ServerError):
                    assert answer.word in HONEST_REFUSALS, answer
    wait_until(lambda: not cluster[1].is_running(), 5, "the timer has killed the node")
    assert number > 100
