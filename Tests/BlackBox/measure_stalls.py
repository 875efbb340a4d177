"""How long one client's 512 MiB value makes another one wait.

    python3 Tests/BlackBox/measure_stalls.py [--mib 512] [--nodes 1] [--keys 1000000]

One client SETs, GETs, overwrites, appends to, expires and deletes a value; another one sends a PING
every millisecond and notes its longest wait in each phase. Both programs, coterie-server and
redis-server, are measured in turn, by the same client, with their VmHWM. The clients are processes of
their own, but on a machine with few cores they and the server still take each other's time.
"""

import argparse
import multiprocessing
import socket
import subprocess
import tempfile
import time

from processes import Cluster, Node, free_ports, quorum_arguments


def ping(port, phase, worst, is_done):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not is_done.value:
        started, mine = time.monotonic(), phase.value
        connection.sendall(b"PING\r\n")
        while not connection.recv(64).endswith(b"\r\n"):
            pass
        took = time.monotonic() - started
        for each in {mine, phase.value}:
            worst[each] = max(worst[each], took)
        time.sleep(0.001)


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(300)
        self.buffer = bytearray(1 << 20)

    def call(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words))
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            self.socket.sendall(b"$%d\r\n" % len(word))
            self.socket.sendall(word)
            self.socket.sendall(b"\r\n")
        head = b""
        while not head.endswith(b"\r\n"):
            head += self.socket.recv(1)
        if head[:1] == b"$" and head[:2] != b"$-":
            left = int(head[1:]) + 2
            while left:
                left -= self.socket.recv_into(self.buffer, min(left, len(self.buffer)))
        assert head[:1] != b"-", head
        return head


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM:"))


def small_keys(client, keys):
    for first in range(0, keys, 10_000):
        pairs = []
        for number in range(first, min(first + 10_000, keys)):
            pairs += [f"key:{number}", "v" * 20]
        client.call("MSET", *pairs)


def measure(name, port, pids, mib, keys, flush_options=()):
    value = b"x" * (mib << 20)
    client = Client(port)
    phases = [
        ("SET", lambda: client.call("SET", "k", value)),
        ("GET", lambda: client.call("GET", "k")),
        ("SET over it", lambda: client.call("SET", "k", value)),
        ("DEL", lambda: client.call("DEL", "k")),
        ("SETEX", lambda: client.call("SETEX", "k", 100, value)),
        ("GETSET small", lambda: client.call("GETSET", "k", "small")),
        ("SET half", lambda: client.call("SET", "k", value[: len(value) // 2])),
        ("APPEND half", lambda: client.call("APPEND", "k", value[: len(value) // 2 - 1])),
        ("SETRANGE", lambda: client.call("SETRANGE", "k", 1000, "abc")),
        ("PEXPIRE", lambda: client.call("PEXPIRE", "k", 1)),
        ("MSET halves", lambda: client.call(
            "MSET", "a", value[: len(value) // 2], "b", value[: len(value) // 2])),
        ("FLUSHALL", lambda: client.call("FLUSHALL", *flush_options)),
    ]
    if keys:
        phases += [(f"FLUSHALL of {keys}", lambda: client.call("FLUSHALL", *flush_options))]
    phase, is_done = multiprocessing.Value("i", 0), multiprocessing.Value("b", 0)
    worst = multiprocessing.Array("d", len(phases) + 1)
    other = multiprocessing.Process(target=ping, args=(port, phase, worst, is_done))
    other.start()
    time.sleep(0.5)
    print(f"{name}, {mib} MiB: longest PING in ms (the command itself)")
    for number, (what, run) in enumerate(phases):
        if keys and number == len(phases) - 1:
            small_keys(client, keys)
        phase.value = number + 1
        started = time.monotonic()
        run()
        took = time.monotonic() - started
        # What it leaves behind is part of it.
        time.sleep(0.5)
        phase.value = 0
        print(f"  {what:20} {worst[number + 1] * 1000:7.1f}  ({took * 1000:.0f})")
        time.sleep(0.1)
    is_done.value = 1
    other.join()
    print(f"  VmHWM {' '.join(str(resident(pid)) for pid in pids)} MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--keys", type=int, default=0)
    parser.add_argument("--no-redis", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.nodes == 1:
            servers = Node(directory)
            nodes = [servers]
            servers.start_and_wait()
        else:
            servers = Cluster(directory, options.nodes, quorum_arguments(3, 2, 2))
            servers.start()
            nodes = list(servers)
        try:
            measure(
                f"coterie-server, {options.nodes} nodes", nodes[0].port,
                [node.pid for node in nodes], options.mib, options.keys)
        finally:
            servers.end()
        if options.no_redis:
            return
        port = free_ports(1)[0]
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL, cwd=directory)
        try:
            time.sleep(1)
            measure("redis-server", port, [redis.pid], options.mib, options.keys)
        finally:
            redis.terminate()
            redis.wait()


if __name__ == "__main__":
    main()
