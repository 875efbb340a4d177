"""CLUSTER as cluster-aware clients read it, on nodes that also serve every classic client."""

import re

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster

from processes import Cluster, quorum_arguments, wait_until
from wire import encode_command, error_word

SLOTS = 16384
SPREADS_WITHIN = 5.0


def slot_of(key):
    """CRC16-XMODEM of the key or of its {hash tag}, modulo 16384, as Redis Cluster says."""
    opening = key.find(b"{")
    if opening >= 0:
        closing = key.find(b"}", opening + 1)
        if closing > opening + 1:
            key = key[opening + 1:closing]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc % SLOTS


def test_keyslot_is_that_of_redis_cluster(cluster):
    assert cluster[0].call("CLUSTER", "KEYSLOT", "123456789") == 12739
    keys = [b"foo", b"bar", b"", b"{user1000}.following", b"{user1000}.followers", b"foo{}{bar}",
            b"foo{{bar}}zap", b"foo{bar}{zap}", b"{}", b"{", b"}{", b"\x00\xff\r\n", b"x" * 1000]
    keys += [b"key-%d" % number for number in range(200)]
    with cluster[1].connect() as connection:
        for key in keys:
            assert connection.call("CLUSTER", "KEYSLOT", key) == slot_of(key), key


def test_every_node_has_an_identity_of_its_own(cluster):
    identities = [node.call("CLUSTER", "MYID").decode() for node in cluster]
    assert len(set(identities)) == 3
    for identity in identities:
        assert re.fullmatch("[0-9a-f]{40}", identity)


def test_info_describes_a_cluster_in_which_all_is_well(cluster):
    for node in cluster:
        info = node.cluster_info()
        assert info["cluster_state"] == "ok"
        assert info["cluster_slots_assigned"] == str(SLOTS)
        assert info["cluster_slots_ok"] == str(SLOTS)
        assert info["cluster_known_nodes"] == "3"
        assert int(info["cluster_size"]) == 3


def check_ranges_cover_all_slots(ranges):
    """Every slot in exactly one range."""
    expected = 0
    for first, last in sorted(ranges):
        assert first == expected and first <= last, f"slot {expected} and {first}-{last}"
        expected = last + 1
    assert expected == SLOTS


def test_slots_names_the_owners_of_every_slot(cluster):
    ports = {node.port for node in cluster}
    identities = {node.call("CLUSTER", "MYID"): node.port for node in cluster}
    replies = [node.call("CLUSTER", "SLOTS") for node in cluster]
    for reply in replies:
        check_ranges_cover_all_slots([(first, last) for first, last, *_ in reply])
        for first, last, *owners in reply:
            assert {port for _, port, *_ in owners} == ports, "N=3 on three nodes"
            for address, port, identity, *_ in owners:
                assert address == b"127.0.0.1"
                assert identities[identity] == port
        first_owners = {owners[0][1] for _, _, *owners in reply}
        assert first_owners == ports, "every node is the first owner of some slots"
    assert sorted(replies[0]) == sorted(replies[1]) == sorted(replies[2])


def test_slots_are_spread_evenly_over_first_owners(cluster):
    share = dict.fromkeys((node.port for node in cluster), 0)
    for first, last, owner, *_ in cluster[0].call("CLUSTER", "SLOTS"):
        share[owner[1]] += last - first + 1
    assert max(share.values()) <= 1.3 * SLOTS / 3, share


def test_shards_is_well_formed_in_both_protocols(cluster):
    ports = {node.port for node in cluster}
    with cluster[0].connect(protocol=3) as connection:
        shards = connection.call("CLUSTER", "SHARDS")
    ranges = []
    for shard in shards:
        numbers = shard[b"slots"]
        ranges += zip(numbers[0::2], numbers[1::2])
        assert shard[b"nodes"]
        for node in shard[b"nodes"]:
            assert re.fullmatch(b"[0-9a-f]{40}", node[b"id"])
            assert node[b"port"] in ports
            assert node[b"ip"] == b"127.0.0.1"
            assert node[b"endpoint"] == b"127.0.0.1"
            assert node[b"role"] in (b"master", b"replica")
            assert isinstance(node[b"replication-offset"], int)
            assert node[b"health"] == b"online"
    check_ranges_cover_all_slots(ranges)
    with cluster[0].connect(protocol=2) as connection:
        flat = connection.call("CLUSTER", "SHARDS")
    assert len(flat) == len(shards)
    assert {shard[0] for shard in flat} == {b"slots"}
    assert {shard[2] for shard in flat} == {b"nodes"}


def test_nodes_has_the_columns_of_redis(cluster):
    for node in cluster:
        lines = node.call("CLUSTER", "NODES").decode().splitlines()
        assert len(lines) == 3
        ranges, myselves = [], []
        for line in lines:
            identity, address, flags, master, ping, pong, epoch, link, *slots = line.split(" ")
            assert re.fullmatch("[0-9a-f]{40}", identity)
            port = int(re.fullmatch(r"127\.0\.0\.1:(\d+)@(\d+)(,.*)?", address)[1])
            assert port in {other.port for other in cluster}
            assert address.split("@")[1].split(",")[0] == str(port + 10_000)
            assert "master" in flags.split(",")
            assert master == "-"
            assert ping.isdigit() and pong.isdigit() and epoch.isdigit()
            assert link == "connected"
            if "myself" in flags.split(","):
                myselves.append((identity, port))
            for words in slots:
                first, _, last = words.partition("-")
                ranges.append((int(first), int(last or first)))
        assert myselves == [(node.call("CLUSTER", "MYID").decode(), node.port)]
        check_ranges_cover_all_slots(ranges)


def test_nodes_marks_a_dead_node(make_cluster):
    cluster = make_cluster(arguments=quorum_arguments(3, 2, 2))
    identity = cluster[2].call("CLUSTER", "MYID").decode()
    cluster[2].kill()

    def is_marked():
        lines = cluster[0].call("CLUSTER", "NODES").decode().splitlines()
        line = next(line for line in lines if line.startswith(identity))
        flags, link = line.split(" ")[2], line.split(" ")[7]
        return "fail" in flags and link == "disconnected"

    wait_until(is_marked, SPREADS_WITHIN, "the dead node is marked as failed and disconnected")
    assert cluster[0].cluster_info()["cluster_known_nodes"] == "3", "nobody is removed"


def test_countkeysinslot_and_getkeysinslot_find_the_keys_of_a_slot(cluster):
    keys = {b"{tag}%d" % number for number in range(20)}
    slot = slot_of(b"{tag}")
    for key in keys:
        cluster[0].call("SET", key, "v")
    cluster[0].call("SET", "elsewhere", "v")
    for node in cluster:
        wait_until(
            lambda: node.call("CLUSTER", "COUNTKEYSINSLOT", slot) == 20, 2, "all are counted")
        assert set(node.call("CLUSTER", "GETKEYSINSLOT", slot, 100)) == keys
        some = node.call("CLUSTER", "GETKEYSINSLOT", slot, 5)
        assert len(set(some)) == 5 and set(some) <= keys
        assert node.call("CLUSTER", "GETKEYSINSLOT", slot, 0) == []
        empty = (slot + 1) % SLOTS
        assert node.call("CLUSTER", "COUNTKEYSINSLOT", empty) == 0
        assert node.call("CLUSTER", "GETKEYSINSLOT", empty, 10) == []


@pytest.mark.parametrize("command", [
    ("CLUSTER",), ("CLUSTER", "NOSUCH"), ("CLUSTER", "KEYSLOT"), ("CLUSTER", "KEYSLOT", "a", "b"),
    ("CLUSTER", "COUNTKEYSINSLOT", "abc"), ("CLUSTER", "COUNTKEYSINSLOT", -1),
    ("CLUSTER", "COUNTKEYSINSLOT", SLOTS), ("CLUSTER", "GETKEYSINSLOT", 0),
    ("CLUSTER", "GETKEYSINSLOT", 0, -1), ("CLUSTER", "GETKEYSINSLOT", "abc", 1),
    ("CLUSTER", "MEET"), ("CLUSTER", "MEET", "127.0.0.1"), ("CLUSTER", "MEET", "127.0.0.1", "abc"),
    ("CLUSTER", "MEET", "127.0.0.1", 0), ("CLUSTER", "MEET", "127.0.0.1", 99_999),
    ("CLUSTER", "MEET", "not an address", 6379), ("CLUSTER", "MYID", "extra"),
], ids=lambda command: " ".join(map(str, command)))
def test_wrong_words_are_errors(cluster, command):
    assert error_word(cluster[0].answer(*command)) == "ERR"
    assert cluster[0].knows_a_complete_cluster_of(3)


def test_a_lone_node_owns_every_slot(node):
    reply = node.call("CLUSTER", "SLOTS")
    check_ranges_cover_all_slots([(first, last) for first, last, *_ in reply])
    assert node.knows_a_complete_cluster_of(1)


def test_a_node_is_a_classic_server_to_classic_clients(cluster):
    info = cluster[0].info("everything")
    assert info["role"] == "master"
    assert info["redis_mode"] == "standalone"
    assert info["cluster_enabled"] == "0"
    assert info["server_name"] == "coterie"
    assert "coterie_version" in info
    with cluster[0].connect() as connection:
        assert connection.call("SELECT", 9) == b"OK"


def test_no_client_ever_sees_moved(cluster):
    for node in cluster:
        with node.connect() as connection:
            payload = b"".join(encode_command("SET", f"key-{n}", n) for n in range(1000))
            assert {reply.raw for reply in connection.pipeline(payload, 1000)} == {b"+OK\r\n"}


@pytest.fixture(scope="module")
def enabled_cluster(tmp_path_factory):
    """Nodes that say that they are a cluster, for tools that insist."""
    arguments = [*quorum_arguments(3, 2, 2), "--cluster-enabled", "yes"]
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), arguments=arguments)
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_cluster_client_of_redis_py_works(enabled_cluster, protocol):
    nodes = [ClusterNode("127.0.0.1", node.port) for node in enabled_cluster]
    with RedisCluster(startup_nodes=nodes, protocol=protocol, socket_timeout=10) as client:
        assert {node.port for node in client.get_nodes()} == {node.port for node in enabled_cluster}
        for number in range(300):
            assert client.set(f"key-{number}", number) is True
        for number in range(300):
            assert client.get(f"key-{number}") == b"%d" % number
        pipeline = client.pipeline()
        for number in range(300):
            pipeline.get(f"key-{number}")
        assert pipeline.execute() == [b"%d" % number for number in range(300)]
        assert client.keyslot("foo") == 12182
        assert client.delete(*[f"key-{number}" for number in range(300)]) == 300


def test_a_node_that_is_told_so_says_that_it_is_a_cluster(enabled_cluster):
    info = enabled_cluster[0].info("everything")
    assert info["cluster_enabled"] == "1"
    assert info["redis_mode"] == "cluster"
    assert error_word(enabled_cluster[0].answer("SELECT", 1)) == "ERR"


def test_meet_joins_a_lone_node(make_cluster, make_node):
    cluster = make_cluster(size=2)
    lone = make_node().start_and_wait()
    assert lone.call("CLUSTER", "MEET", "127.0.0.1", cluster[0].port) == b"OK"
    everyone = [*cluster, lone]
    for node in everyone:
        wait_until(lambda: node.knows_a_complete_cluster_of(3), SPREADS_WITHIN,
                   f"{node.port} knows all three")
    tables = [sorted(node.call("CLUSTER", "SLOTS")) for node in everyone]
    assert tables[0] == tables[1] == tables[2]
    keys = [f"key-{number}" for number in range(200)]
    for number, key in enumerate(keys):
        everyone[number % 3].call("SET", key, number)
    for node in everyone:
        assert node.call("MGET", *keys) == [b"%d" % number for number in range(200)]


def test_lone_nodes_that_meet_one_after_another_end_as_one_cluster(make_node):
    nodes = [make_node().start_and_wait() for _ in range(4)]
    for previous, node in zip(nodes, nodes[1:]):
        assert previous.call("CLUSTER", "MEET", "127.0.0.1", node.port) == b"OK"
    for node in nodes:
        wait_until(lambda: node.knows_a_complete_cluster_of(4), SPREADS_WITHIN,
                   f"{node.port} knows all four")
    assert nodes[1].call("CLUSTER", "MEET", "127.0.0.1", nodes[1].port) == b"OK", "itself: no harm"
    assert nodes[1].knows_a_complete_cluster_of(4)


def test_a_met_cluster_finds_itself_again_after_a_restart(make_node):
    nodes = [make_node().start_and_wait() for _ in range(3)]
    nodes[0].call("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
    nodes[2].call("CLUSTER", "MEET", "127.0.0.1", nodes[1].port)
    for node in nodes:
        wait_until(lambda: node.knows_a_complete_cluster_of(3), SPREADS_WITHIN, "all have met")
    for node in nodes:
        node.terminate()
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait_until_it_answers()
        wait_until(lambda: node.knows_a_complete_cluster_of(3), SPREADS_WITHIN,
                   "members are in the state file")


def test_redis_py_reports_no_cluster_error_on_a_classic_node(cluster):
    with cluster[0].client() as client:
        assert client.execute_command("CLUSTER KEYSLOT", "foo") == 12182
        with pytest.raises(redis.ResponseError):
            client.execute_command("CLUSTER", "NOSUCH")
