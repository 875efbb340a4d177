"""When what was broken: the one place that says whether a failed command counts as a failure.

A failure does not count

- within the first second after a fault began or was healed: the cluster may notice;
- when the client's own node was killed, stopped or unplugged: the client has to go elsewhere;
- when a partition left the client's side without a quorum: W nodes for a write (any nodes, as
  fallbacks count), R owners of the key for a read. No leaderless store can answer there.
"""

import bisect
import time
from binascii import crc_hqx
from dataclasses import dataclass, field

from plan import N, R, SETTLING, W

SLOTS = 16384


def slot_of(key):
    """Redis Cluster's slot of a key (without hash tags, which the load does not use)."""
    return crc_hqx(key.encode(), 0) % SLOTS


@dataclass
class Event:
    """A fault began or was healed. `start` may lie before `end` where doing it took time."""

    phase: str
    what: str
    start: float
    end: float


@dataclass
class Span:
    """Something that held from `start` until `end`, or still holds."""

    start: float
    end: float = float("inf")

    def touches(self, start, end):
        return self.start <= end and start <= self.end


@dataclass
class Cut(Span):
    """A partition: packets from the first to the second address of each pair vanish."""

    directions: frozenset = frozenset()
    hosts: tuple = ()
    # By slot, as they were then: later joins and leaves change them.
    owners: dict = field(default_factory=dict)

    def reach(self, host):
        """The addresses that this one can talk with: both directions work, or it is itself."""
        return {other for other in self.hosts
                if (host, other) not in self.directions and (other, host) not in self.directions}

    def allows_write(self, host):
        return len(self.reach(host)) >= W

    def allows_read(self, host, key):
        owners = self.owners[slot_of(key)]
        coordinators = self.reach(host) & owners
        return any(len(self.reach(owner) & owners) >= R for owner in coordinators)


@dataclass
class Timeline:
    """Events, outages and cuts, written by the faults and read when the run is judged."""

    events: list = field(default_factory=list)
    outages: dict = field(default_factory=dict)
    cuts: list = field(default_factory=list)

    def happened(self, phase, what, start=None):
        now = time.monotonic()
        self.events.append(Event(phase, what, now if start is None else start, now))

    def goes_out(self, node):
        self.outages.setdefault(node.host, []).append(Span(time.monotonic()))

    def is_back(self, node):
        self.outages[node.host][-1].end = time.monotonic()

    def windows(self):
        """The excused seconds as sorted spans that do not overlap."""
        spans = []
        for event in sorted(self.events, key=lambda event: event.start):
            if spans and event.start <= spans[-1].end:
                spans[-1].end = max(spans[-1].end, event.end + SETTLING)
            else:
                spans.append(Span(event.start, event.end + SETTLING))
        return spans

    def was_out(self, host, start, end):
        return any(span.touches(start, end) for span in self.outages.get(host, ()))

    def quorum_was_possible(self, record):
        for cut in self.cuts:
            if not cut.touches(record.start, record.end):
                continue
            if record.is_read:
                if not cut.allows_read(record.host, record.key):
                    return False
            elif not cut.allows_write(record.host):
                return False
        return True

    def owners_near(self, record):
        """How many owners of its key a command had on its side of a partition; N without one."""
        return min((len(cut.reach(record.host) & cut.owners[slot_of(record.key)])
                    for cut in self.cuts if cut.touches(record.start, record.end)), default=N)

    def last_event(self, moment):
        """The latest event that began before this moment, or None."""
        events = sorted(self.events, key=lambda event: event.start)
        place = bisect.bisect_right([event.start for event in events], moment)
        return events[place - 1] if place else None
