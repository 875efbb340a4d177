"""What came of a run: counted once, when the load has ended, for the tests and for the report."""

import statistics
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

from copies import differing_after, how_to_look, read_command
from plan import CONVERGES_WITHIN, HEALTHY_WITHIN
from wire import ServerError


@dataclass
class Rate:
    """Commands outside the excused seconds, and those of them that failed though they could not."""

    commands: int
    failures: list
    all_commands: int
    refused_without_quorum: int
    failures_in_excused_seconds: int
    client_lost_its_node: int

    @property
    def success(self):
        return 1 - len(self.failures) / max(1, self.commands)


@dataclass(repr=False)
class Judgement:
    """All findings. pytest shows the interesting part; a repr would be thousands of lines."""

    rate: Rate
    latencies: list
    ailment: str = ""
    looked_with: str = "nothing"
    differed_at_first: int = 0
    still_differing: dict = field(default_factory=dict)
    converged_after: float = 0.0
    checked: int = 0
    lost: dict = field(default_factory=dict)
    disagreeing: dict = field(default_factory=dict)
    resident: dict = field(default_factory=dict)
    deaths: list = field(default_factory=list)
    bad_lines: list = field(default_factory=list)
    siblings_resolved: int = 0


def judge(chaos):
    """Ends the load and looks at everything; asserts nothing."""
    chaos.load.end()
    cluster, book = chaos.cluster, chaos.load.book()
    verdict = Judgement(rate_of(chaos), latencies_of(chaos))
    for node in cluster.members:
        chaos._note_death(node)
    verdict.deaths = chaos.deaths
    verdict.bad_lines = [f"{node.name}: {line}" for node in cluster.nodes
                         for line in node.bad_lines()]
    try:
        cluster.wait_until_healthy(HEALTHY_WITHIN)
    except AssertionError as ailment:
        verdict.ailment = str(ailment)
        return verdict
    keys = sorted(set(book.registers) | book.sibling_keys)
    # First what reads no quorum: a quorum read repairs what it finds.
    look_at_copies(verdict, cluster, keys)
    read_everything(verdict, cluster, book, keys)
    verdict.resident = chaos.resident_bytes()
    verdict.siblings_resolved = sum(
        int(node.info()["siblings_resolved"]) for node in cluster.members)
    return verdict


# Commands

def rate_of(chaos):
    timeline, windows = chaos.timeline, chaos.timeline.windows()
    starts = [window.start for window in windows]

    def is_excused(start, end):
        place = bisect_right(starts, end)
        return place > 0 and windows[place - 1].end >= start

    commands = total = 0
    for client in chaos.load.all:
        total += len(client.starts)
        commands += sum(not is_excused(*times) for times in zip(client.starts, client.ends))
    failures, excused, impossible, homeless = [], 0, 0, 0
    for record in chaos.load.records():
        if not record.is_reply and timeline.was_out(record.host, record.start, record.end):
            homeless += 1
        elif not timeline.quorum_was_possible(record):
            impossible += 1
        elif is_excused(record.start, record.end):
            excused += 1
        else:
            failures.append(record)
    return Rate(commands, failures, total, impossible, excused, homeless)


def latencies_of(chaos):
    """Median, 99th, 99.9th percentile and maximum, in milliseconds, of all commands."""
    times = sorted((end - start) * 1000 for client in chaos.load.all
                   for start, end in zip(client.starts, client.ends))
    if len(times) < 2:
        return [0.0] * 4
    return [statistics.median(times), times[len(times) * 99 // 100],
            times[len(times) * 999 // 1000], times[-1]]


def errors_by_word(records):
    return Counter(record.word for record in records)


# Data

def look_at_copies(verdict, cluster, keys):
    with how_to_look(cluster) as look:
        verdict.looked_with = look.name
        left, first, seconds = differing_after(look, keys, CONVERGES_WITHIN)
    verdict.still_differing, verdict.differed_at_first = left, first
    verdict.converged_after = seconds


def read_everything(verdict, cluster, book, keys):
    """Reads each key through every node: what was promised is there, and the same everywhere."""
    verdict.checked = len(keys)
    reads = {}
    for node in cluster.members:
        with node.connect() as connection:
            replies = connection.answers([read_command(key) for key in keys])
        for key, reply in zip(keys, replies):
            reads.setdefault(key, {})[node.name] = shown(reply)
            lost = lost_values(book, key, reply)
            if lost:
                verdict.lost.setdefault(key, {})[node.name] = lost
    verdict.disagreeing = {
        key: found for key, found in reads.items() if len(set(found.values())) > 1}


def shown(reply):
    if isinstance(reply, ServerError):
        return str(reply)
    if isinstance(reply, list):
        return tuple(sorted(reply[3]))
    return reply


def lost_values(book, key, reply):
    """Acknowledged values that this reply lacks. Of a key written by many, LWW keeps any one."""
    if isinstance(reply, ServerError):
        return [f"unreadable: {reply}"]
    if key in book.sibling_keys:
        return sorted(book.lost(key, set(reply[3])))
    acknowledged = book.acknowledged.get(key, set())
    if acknowledged and reply not in book.registers[key]:
        return sorted(acknowledged) if len(acknowledged) == 1 else [f"found {reply}"]
    return []
