"""maxmemory on a real process: what is counted, what goes, and what the kernel sees."""

import random

import pytest

from processes import Node

LIMIT = 64 << 20
POLICIES = [
    "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
    "volatile-random", "volatile-ttl",
]


def resident_bytes(node):
    with open(f"/proc/{node.pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


@pytest.mark.parametrize("policy", POLICIES)
def test_three_times_maxmemory(tmp_path, policy):
    node = Node(tmp_path)
    try:
        node.start_and_wait()
        client = node.client()
        client.config_set("maxmemory", LIMIT)
        client.config_set("maxmemory-policy", policy)
        generator = random.Random(policy)
        written, refused, number = 0, 0, 0
        # Sizes change half way, so that memory has to move from one size to another.
        while written < 3 * LIMIT:
            pipeline = client.pipeline(transaction=False)
            small = written < 3 * LIMIT // 2
            for _ in range(200):
                size = generator.randrange(20, 400) if small else generator.randrange(400, 20_000)
                pipeline.set(f"key:{number}", b"x" * size, ex=1000)
                written += size
                number += 1
            for reply in pipeline.execute(raise_on_error=False):
                if isinstance(reply, Exception):
                    assert "OOM" in str(reply) or "command not allowed" in str(reply), reply
                    refused += 1
        info = client.info("memory")
        assert info["used_memory"] <= LIMIT * 17 // 16 + (8 << 20)
        assert resident_bytes(node) <= LIMIT * 1.15 + (64 << 20), info
        if policy == "noeviction":
            assert refused > 0 and client.info("stats")["evicted_keys"] == 0
        else:
            assert refused == 0 and client.info("stats")["evicted_keys"] > 1000
        assert client.dbsize() > 1000
        assert client.memory_stats()["keys.count"] == client.dbsize()
    finally:
        node.end()
