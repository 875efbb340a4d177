"""One run: cluster, network, load and timeline together, and the faults that are done to them.

Memory is all that a node has, and W is 2: two empty nodes at a time may lose what was promised. So
every fault waits until the one before it is healed and every node says that it is whole again.
"""

import signal
import time
from dataclasses import dataclass

from nodes import UNREACHABLE, Cluster
from plan import (CLIENTS, FOUNDERS, HEALTHY_WITHIN, JOINS_WITHIN, LEAVES_WITHIN, MOST_NODES,
                  SETTLING)
from load import Load
from processes import wait_until
from timeline import Cut, Timeline
from wire import ServerError


@dataclass
class PhaseResult:
    """How far a phase came, for the report."""

    planned: int
    done: int = 0
    seconds: float = 0.0
    worst_recovery: float = 0.0


class Chaos:
    """A running cluster under load."""

    def __init__(self, plan, network, directory):
        self.plan = plan
        self.network = network
        self.cluster = Cluster(network, FOUNDERS, MOST_NODES, directory)
        self.timeline = Timeline()
        self.load = Load(CLIENTS, plan.seed, [node.host for node in self.cluster.members])
        self.results = {}
        self.deaths = []

    def start(self):
        self.cluster.start()
        node = self.cluster.members[0]
        node.call("CONFIG", "SET", "keyspace.sib.conflict", "siblings")
        for node in self.cluster.members:
            wait_until(lambda: self._has_siblings(node), 5.0, f"{node.name} knows keyspace sib")
        self.load.start()
        time.sleep(1.0)

    @staticmethod
    def _has_siblings(node):
        return b"siblings" in node.call("CONFIG", "GET", "keyspace.sib.conflict")

    def end(self):
        self.load.end()
        self.cluster.end()
        self.network.close()

    # Phases

    def run(self, phase):
        result = self.results[phase] = PhaseResult(self.plan.count(phase))
        start = time.monotonic()
        try:
            self._recover(phase)
            for fault in self._faults(phase):
                fault()
                self._recover(phase)
                result.done += 1
        finally:
            result.seconds = time.monotonic() - start
            self._heal_all()

    def _faults(self, phase):
        """The phase's faults, each to be called when the cluster is healthy."""
        draw = self.plan.draws(phase)
        if phase == "kill":
            return [lambda: self.kill(draw)] * self.plan.count(phase)
        if phase == "stop":
            return [lambda length=length: self.stop(draw, length)
                    for length in self.plan.stop_lengths()]
        if phase == "partition":
            return [lambda kind=kind: self.partition(draw, kind)
                    for kind in self.plan.partition_kinds()]
        if phase == "join":
            return [self.join] * self.plan.count(phase)
        return [lambda: self.leave(draw)] * self.plan.count(phase)

    def _recover(self, phase):
        """Waits until all is well, and long enough for commands that count."""
        took = self.cluster.wait_until_healthy(HEALTHY_WITHIN)
        result = self.results[phase]
        result.worst_recovery = max(result.worst_recovery, took)
        self.load.send_home(node.host for node in self.cluster.members)
        time.sleep(max(0.0, SETTLING + 0.3 - took))

    def _heal_all(self):
        """After a phase that failed half-way, too, the next one starts with whole machinery."""
        self.network.heal()
        for node in self.cluster.members:
            self._note_death(node)
            if node.is_stopped:
                node.go_on()
        for spans in self.timeline.outages.values():
            spans[-1].end = min(spans[-1].end, time.monotonic())
        for cut in self.timeline.cuts:
            cut.end = min(cut.end, time.monotonic())

    def _note_death(self, node):
        """Nodes that the run ends are started again or no members any more: this is a finding."""
        if not node.is_running():
            finding = f"{node.name} ended by itself with {node.process.returncode}"
            if finding not in self.deaths:
                self.deaths.append(finding)

    def _note_bad_end(self, node):
        """A node that has left may end by itself, but not with a crash."""
        if node.process.returncode not in (0, -signal.SIGTERM):
            self.deaths.append(f"{node.name}, having left, ended with {node.process.returncode}")

    # Faults

    def kill(self, draw):
        """kill -9, a while without the node, and a start with the same directory."""
        node = draw.choice(self.cluster.members)
        self._note_death(node)
        self._watch_memory(node)
        self.timeline.goes_out(node)
        self.timeline.happened("kill", f"{node.name} killed")
        node.kill()
        time.sleep(draw.uniform(0.3, 1.8))
        self.timeline.happened("kill", f"{node.name} started again")
        node.start()
        self.timeline.is_back(node)

    def stop(self, draw, length):
        node = draw.choice(self.cluster.members)
        self.timeline.goes_out(node)
        self.timeline.happened("stop", f"{node.name} stopped for {length:.1f} s")
        node.stop()
        time.sleep(length)
        self.timeline.happened("stop", f"{node.name} goes on")
        node.go_on()
        self.timeline.is_back(node)

    def partition(self, draw, kind):
        members = draw.sample(self.cluster.members, len(self.cluster.members))
        length = draw.uniform(2.0, 3.5)
        owners = self.cluster.owners()
        start = time.monotonic()
        if kind == "unplugged":
            self.timeline.goes_out(members[0])
            self.network.unplug(members[0].index)
        directions, names = self._directions(kind, members)
        self.timeline.cuts.append(Cut(
            start=start, owners=owners, hosts=tuple(node.host for node in members),
            directions=frozenset((a.host, b.host) for a, b in directions)))
        if kind != "unplugged":
            self.network.cut((a.index, b.index) for a, b in directions)
        self.timeline.happened("partition", f"{kind} {names} for {length:.1f} s", start)
        time.sleep(length)
        was_felt = kind == "one-way" or self._is_felt(members, directions)
        self._heal_partition(kind, members[0])
        assert was_felt, f"{kind} {names}: nobody misses anybody, so the network was not cut"

    @staticmethod
    def _is_felt(members, directions):
        """A fault that does not happen proves nothing. (A cut of one pair may go unnoticed.)"""
        node = directions[0][1]
        return node.info()["members_alive"] != str(len(members))

    def _heal_partition(self, kind, node):
        start = time.monotonic()
        self.network.heal()
        self.timeline.cuts[-1].end = time.monotonic()
        if kind == "unplugged":
            self.timeline.is_back(node)
        self.timeline.happened("partition", f"{kind} healed", start)

    @staticmethod
    def _directions(kind, members):
        """The pairs (from, to) whose packets vanish, and who it is about."""
        first, others = members[0], members[1:]
        away = [(first, other) for other in others]
        back = [(other, first) for other in others]
        if kind == "halves":
            size = len(members) // 2
            few, many = members[:size], members[size:]
            pairs = [(a, b) for a in few for b in many] + [(b, a) for a in few for b in many]
            return pairs, "+".join(node.name for node in few)
        if kind == "mute":
            return away, first.name
        if kind == "deaf":
            return back, first.name
        if kind == "one-way":
            return [(first, others[0])], f"{first.name} to {others[0].name}"
        return away + back, first.name

    def join(self):
        """A new, empty node with the founders as seeds."""
        node = next(node for node in self.cluster.nodes if node.process is None)
        node.start()
        wait_until(lambda: node.answers_ping() or self.cluster._died(node), JOINS_WITHIN,
                   f"{node.name} answers")
        self.timeline.happened("join", f"{node.name} joins")
        self.cluster.members = [*self.cluster.members, node]
        self.cluster.wait_until_healthy(JOINS_WITHIN)
        self.timeline.happened("join", f"{node.name} has joined")

    def leave(self, draw):
        """A graceful leave; the process ends when nobody counts on it any more."""
        node = draw.choice(self.cluster.members)
        others = [other for other in self.cluster.members if other is not node]
        self.timeline.happened("leave", f"{node.name} leaves")
        node.call("CLUSTER", "LEAVE")
        listed_until = time.monotonic()
        deadline = listed_until + LEAVES_WITHIN
        while self._is_listed(node, others):
            listed_until = time.monotonic()
            assert listed_until < deadline, f"{node.name} has not left within {LEAVES_WITHIN} s"
            time.sleep(0.05)
        self.timeline.happened("leave", f"{node.name} has left", start=listed_until)
        self.timeline.goes_out(node)
        self.cluster.members = others
        self.load.send_home(other.host for other in others)
        self._watch_memory(node)
        node.end()
        self._note_bad_end(node)

    @staticmethod
    def _is_listed(node, others):
        try:
            return any(node.host in other.listed_hosts() for other in others)
        except (*UNREACHABLE, ServerError):
            return True

    # Findings

    def _watch_memory(self, node):
        if node.is_running():
            node.highest_resident = max(node.highest_resident, node.resident_bytes())

    def resident_bytes(self):
        """The highest memory that was seen of each node."""
        for node in self.cluster.members:
            self._watch_memory(node)
        return {node.name: node.highest_resident for node in self.cluster.nodes
                if node.highest_resident}
