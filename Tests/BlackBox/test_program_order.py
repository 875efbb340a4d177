"""One connection's commands act as if run one after another, at any depth, on any node.

A random sequence over few keys is sent in pipelines and every reply is compared with a model that
is a Python dictionary. A failure says the seed.
"""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from processes import Cluster, quorum_arguments
from wire import encode_command

NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
WITHIN = 60.0


class Model:
    """What Redis would answer, as bytes of RESP2."""

    def __init__(self):
        self.values = {}

    def reply_to(self, name, *words):
        return getattr(self, f"_{name.lower()}")(*words)

    def _set(self, key, value, *options):
        if "NX" in options and key in self.values or "XX" in options and key not in self.values:
            return b"$-1\r\n"
        self.values[key] = value
        return b"+OK\r\n"

    def _get(self, key):
        return self._bulk(self.values.get(key))

    def _getset(self, key, value):
        previous = self._get(key)
        self.values[key] = value
        return previous

    def _getdel(self, key):
        return self._bulk(self.values.pop(key, None))

    def _append(self, key, value):
        self.values[key] = self.values.get(key, "") + value
        return self._integer(len(self.values[key]))

    def _incr(self, key):
        text = self.values.get(key, "0")
        if not text.isdigit() or text != str(int(text)) or int(text) >= 1 << 63:
            return NOT_AN_INTEGER
        self.values[key] = str(int(text) + 1)
        return self._integer(int(text) + 1)

    def _del(self, *keys):
        return self._integer(sum(self.values.pop(key, None) is not None for key in keys))

    def _exists(self, *keys):
        return self._integer(sum(key in self.values for key in keys))

    def _strlen(self, key):
        return self._integer(len(self.values.get(key, "")))

    def _mget(self, *keys):
        return b"*%d\r\n" % len(keys) + b"".join(self._get(key) for key in keys)

    def _mset(self, *pairs):
        self.values.update(zip(pairs[0::2], pairs[1::2]))
        return b"+OK\r\n"

    @staticmethod
    def _bulk(value):
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value.encode())

    @staticmethod
    def _integer(number):
        return b":%d\r\n" % number


def random_command(generator, keys):
    """One command; values are numbers or words, so that INCR both succeeds and fails."""
    key, other = generator.choice(keys), generator.choice(keys)
    value = str(generator.randrange(100)) if generator.random() < 0.7 else "word"
    return generator.choice([
        ("SET", key, value), ("SET", key, value), ("GET", key), ("GET", key), ("GET", key),
        ("SET", key, value, "NX"), ("SET", key, value, "XX"),
        ("INCR", key), ("INCR", key), ("APPEND", key, "1"), ("DEL", key), ("DEL", key, other),
        ("GETSET", key, value), ("GETDEL", key), ("EXISTS", key, other), ("STRLEN", key),
        ("MGET", key, other, key), ("MSET", key, value, other, value),
    ])


def check_program_order(node, prefix, depth, seed, count):
    """Runs `count` commands in pipelines of `depth` and compares every reply with the model."""
    generator, model = random.Random(seed), Model()
    keys = [f"{prefix}-{number}" for number in range(5)]
    with node.connect(timeout=WITHIN) as connection:
        done = []
        for _ in range(max(1, count // depth)):
            commands = [random_command(generator, keys) for _ in range(depth)]
            payload = b"".join(encode_command(*command) for command in commands)
            replies = connection.pipeline(payload, depth)
            for command, reply in zip(commands, replies):
                expected = model.reply_to(*command)
                done.append((command, reply.raw))
                assert reply.raw == expected, (
                    f"seed {seed}, depth {depth}, port {node.port}: {command} answered "
                    f"{reply.raw!r} instead of {expected!r} after {done[-10:-1]}")


@pytest.fixture(scope="module", params=[(1, 1, 1), (3, 2, 2), (3, 1, 1), (3, 3, 3)],
                ids=lambda quorum: "N{}-W{}-R{}".format(*quorum))
def shared_cluster(request, tmp_path_factory):
    """Program order must hold even where W+R is not above N."""
    directory = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(directory, arguments=quorum_arguments(*request.param))
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 100, 1000])
def test_a_pipeline_on_any_node_acts_in_order(cluster, depth):
    for number, node in enumerate(cluster):
        check_program_order(node, f"depth-{depth}-{number}", depth, seed=depth + number, count=2000)


def test_pipelines_on_all_nodes_at_once_each_act_in_order(cluster):
    with ThreadPoolExecutor(6) as pool:
        runs = [
            pool.submit(
                check_program_order, cluster[number % 3], f"worker-{number}",
                depth=50, seed=number, count=2000)
            for number in range(6)
        ]
        for run in runs:
            run.result(WITHIN * 2)


@pytest.mark.parametrize("depth", [1, 10, 1000])
def test_a_pipeline_on_a_lone_node_acts_in_order(node, depth):
    check_program_order(node, "key", depth, seed=depth, count=5000)


def test_a_pipeline_cut_at_random_bytes_acts_in_order(cluster):
    generator, model = random.Random(7), Model()
    commands = [random_command(generator, ["cut-a", "cut-b", "cut-c"]) for _ in range(500)]
    payload = b"".join(encode_command(*command) for command in commands)
    with cluster[1].connect(timeout=WITHIN) as connection:
        while payload:
            length = generator.choice([1, 2, 3, 7, 50, 400])
            connection.send(payload[:length])
            payload = payload[length:]
        for command in commands:
            assert connection.read_reply().raw == model.reply_to(*command), command


def test_a_get_behind_its_own_set_sees_it_for_keys_of_every_owner(cluster):
    for node in cluster:
        with node.connect() as connection:
            payload = b"".join(
                encode_command("SET", f"own-{n}", n) + encode_command("GET", f"own-{n}")
                for n in range(1000))
            replies = connection.pipeline(payload, 2000)
            assert [reply.value for reply in replies[1::2]] == [b"%d" % n for n in range(1000)]
