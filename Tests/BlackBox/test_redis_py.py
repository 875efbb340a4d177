"""redis-py as people use it, with both protocols, on one node and on a cluster."""

import threading
import time

import pytest
import redis


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param


@pytest.fixture(params=["node", "cluster"])
def client(request, protocol):
    """A client of a lone node, and one of a cluster's second node."""
    served = request.getfixturevalue(request.param)
    node = served[1] if request.param == "cluster" else served
    with node.client(protocol) as client:
        yield client


def test_connecting_names_the_library_and_does_not_fail(client):
    assert client.ping() is True
    assert client.client_id() > 0


def test_set_options(client):
    assert client.set("k", "v", nx=True) is True
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", xx=True, get=True) == b"v"
    assert client.set("k", "x", ex=100) is True
    assert 99 <= client.ttl("k") <= 100
    assert client.set("k", "y", keepttl=True) is True
    assert 98 <= client.ttl("k") <= 100
    assert client.set("k", "z", px=50_000) is True
    assert 49_000 <= client.pttl("k") <= 50_000
    at = int(time.time()) + 1000
    assert client.set("k", "z", exat=at) is True
    assert client.expiretime("k") == at
    assert client.getex("k", persist=True) == b"z"
    assert client.ttl("k") == -1


def test_strings_and_counters(client):
    assert client.incrby("n", 5) == 5
    assert client.incrbyfloat("f", 0.5) == 0.5
    assert client.append("s", "abc") == 3
    assert client.setrange("s", 1, "X") == 3
    assert client.getrange("s", 0, -1) == b"aXc"
    assert client.getset("s", "new") == b"aXc"
    assert client.getdel("s") == b"new"
    assert client.mset({"{t}a": 1, "{t}b": 2}) is True
    assert client.mget("{t}a", "{t}b", "{t}c") == [b"1", b"2", None]
    assert client.msetnx({"{t}b": 1, "{t}d": 2}) is False
    assert client.msetnx({"{t}e": 1, "{t}d": 2}) is True


def test_errors_arrive_as_response_errors(client):
    client.set("text", "abc")
    with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
        client.incr("text")
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NOSUCH")
    assert client.get("text") == b"abc"


def test_scan_iter_finds_every_key_once_or_more(client):
    client.mset({f"key-{i}": i for i in range(1000)})
    assert set(client.scan_iter(count=50)) == {b"key-%d" % i for i in range(1000)}
    nineties = {b"key-99"} | {b"key-99%d" % i for i in range(10)}
    assert set(client.scan_iter(match="key-99*")) == nineties
    assert set(client.scan_iter(_type="string", match="key-1")) == {b"key-1"}
    assert set(client.scan_iter(_type="list")) == set()


def test_pipelines_of_10_000_keep_their_order(client):
    pipeline = client.pipeline(transaction=False)
    for number in range(10_000):
        if number % 2:
            pipeline.get(f"key-{number // 2 % 100}")
        else:
            pipeline.set(f"key-{number // 2 % 100}", number)
    replies = pipeline.execute()
    assert replies[0::2] == [True] * 5000
    assert replies[1::2] == [b"%d" % number for number in range(0, 10_000, 2)]


def test_an_error_inside_a_pipeline_leaves_the_others_alone(client):
    pipeline = client.pipeline(transaction=False)
    pipeline.set("a", "text").incr("a").get("a")
    replies = pipeline.execute(raise_on_error=False)
    assert replies[0] is True
    assert isinstance(replies[1], redis.ResponseError)
    assert replies[2] == b"text"


def test_databases(protocol, node):
    with node.client(protocol, db=3) as third, node.client(protocol) as zeroth:
        third.set("key", "in three")
        assert zeroth.get("key") is None
        assert third.get("key") == b"in three"
        assert (third.dbsize(), zeroth.dbsize()) == (1, 0)


def test_client_names_and_lists(client):
    client.client_setname("tester")
    assert client.get_encoder().encode(client.client_getname()) == b"tester"
    mine = [entry for entry in client.client_list() if entry["name"] == "tester"]
    assert len(mine) == 1
    fields = "id addr laddr fd name age idle flags db sub psub multi cmd user redir resp"
    for field in fields.split():
        assert field in mine[0], field


def test_information_has_the_fields_that_clients_parse(client):
    info = client.info()
    for field in (
        "redis_version arch_bits redis_mode run_id tcp_port uptime_in_seconds process_id "
        "connected_clients blocked_clients maxclients used_memory used_memory_rss maxmemory "
        "maxmemory_policy loading total_connections_received total_commands_processed "
        "instantaneous_ops_per_sec keyspace_hits keyspace_misses expired_keys evicted_keys "
        "role connected_slaves master_repl_offset cluster_enabled"
    ).split():
        assert field in info, field
    assert info["role"] == "master"
    assert info["connected_slaves"] == 0
    assert info["loading"] == 0
    assert info["redis_mode"] == "standalone"
    assert str(info["redis_version"]).startswith("7.")


def test_information_counts_keys_by_database(node):
    with node.client() as client:
        client.mset({"a": 1, "b": 2})
        client.expire("a", 100)
        keys = client.info("keyspace")["db0"]
        assert (keys["keys"], keys["expires"]) == (2, 1)


def test_information_of_commands_counts_calls(node):
    with node.client() as client:
        client.config_resetstat()
        for _ in range(7):
            client.get("missing")
        client.config_get("timeout")
        with pytest.raises(redis.ResponseError):
            client.execute_command("GET")
        statistics = client.info("commandstats")
        assert statistics["cmdstat_get"]["calls"] == 7
        assert statistics["cmdstat_get"]["rejected_calls"] == 1
        assert statistics["cmdstat_config|get"]["calls"] == 1


def test_the_command_table_is_readable(client):
    assert client.command_count() > 60
    table = client.command()
    assert table["get"]["arity"] == 2
    assert table["mset"]["step_count"] == 2
    keys = client.command_getkeys("MSET", "a", 1, "b", 2)
    assert [client.get_encoder().encode(key) for key in keys] == [b"a", b"b"]


def test_fifty_threads_each_see_their_own_writes(node, protocol):
    failures = []

    def work(number):
        try:
            with node.client(protocol) as client:
                for turn in range(50):
                    client.set(f"thread-{number}", turn)
                    assert client.get(f"thread-{number}") == b"%d" % turn
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
