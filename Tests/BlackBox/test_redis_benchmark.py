"""redis-benchmark runs against a node and against a cluster without an error or a warning."""

import subprocess

import pytest

TESTS = "ping_inline,ping_mbulk,set,get,incr,mset"


def run_redis_benchmark(port, *arguments):
    finished = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-t", TESTS, "--csv", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished
    assert finished.stderr == "", finished
    assert "WARNING" not in finished.stdout and "Error" not in finished.stdout, finished.stdout
    return finished.stdout.splitlines()


@pytest.mark.parametrize("arguments", [
    ["-n", 2000],
    ["-n", 20_000, "-P", 16],
    ["-n", 20_000, "-P", 64, "-r", 10_000],
    ["-n", 5000, "-P", 4, "-3"],
    ["-n", 2000, "-d", 10_000],
], ids=lambda arguments: " ".join(map(str, arguments)))
def test_redis_benchmark_runs_clean_on_one_node(node, arguments):
    results = run_redis_benchmark(node.port, *arguments)
    assert len(results) == 1 + len(TESTS.split(",")), results


def test_redis_benchmark_runs_clean_on_a_cluster(cluster):
    for node in cluster:
        results = run_redis_benchmark(node.port, "-n", 5000, "-P", 16, "-r", 1000)
        assert len(results) == 1 + len(TESTS.split(",")), results
