"""The report of a run, in plain text: what was done, what was seen, and where to look next."""

from collections import Counter

from judgement import errors_by_word
from plan import W

SHOWN = 12


def report(chaos, verdict):
    lines = [f"COTERIE_CHAOS_SEED={chaos.plan.seed}"
             + ("" if chaos.network.can_be_cut
                else f"; NO PARTITIONS: no network namespaces here ({chaos.network.reason})")]
    lines += phase_table(chaos, verdict)
    lines += command_lines(verdict)
    lines += data_lines(verdict)
    return lines + failure_lines(chaos, verdict)


def phase_table(chaos, verdict):
    """Failures belong to the phase of the latest event before their end."""
    events = {phase: [event for event in chaos.timeline.events if event.phase == phase]
              for phase in chaos.results}
    failed = Counter()
    for record in verdict.rate.failures:
        event = chaos.timeline.last_event(record.end)
        failed[event.phase if event else "-"] += 1
    lines = ["", "phase      faults   seconds  failed commands  last error after  "
             "longest until healthy"]
    for phase, result in chaos.results.items():
        late = worst_error_after(chaos, phase)
        lines.append(f"{phase:<10} {result.done:>3}/{result.planned:<3} {result.seconds:>8.1f}  "
                     f"{failed[phase]:>15}  {late:>14.2f} s  {result.worst_recovery:>18.2f} s"
                     f"{'' if events[phase] else '  (nothing was done)'}")
    return lines


def worst_error_after(chaos, phase):
    """The longest time from a phase's event to the last refusal before the next event."""
    worst = 0.0
    for record in chaos.load.records():
        event = chaos.timeline.last_event(record.end)
        if event and event.phase == phase and record.is_reply \
                and chaos.timeline.quorum_was_possible(record):
            worst = max(worst, record.end - event.end)
    return worst


def command_lines(verdict):
    rate = verdict.rate
    median, high, higher, highest = verdict.latencies
    return [
        "",
        f"success rate {rate.success:.4%}: {len(rate.failures)} of {rate.commands} commands failed "
        "outside the excused seconds",
        f"beside them, of {rate.all_commands} commands in all: "
        f"{rate.failures_in_excused_seconds} failures in excused seconds, "
        f"{rate.refused_without_quorum} with no quorum on the client's side of a partition, "
        f"{rate.client_lost_its_node} whose client lost its node",
        f"latency, ms: median {median:.2f}, 99 % {high:.1f}, 99.9 % {higher:.1f}, "
        f"worst {highest:.0f}",
    ]


def data_lines(verdict):
    if verdict.ailment:
        return [f"NO DATA WAS CHECKED: {verdict.ailment}",
                f"deaths: {verdict.deaths or 'none'}; bad log lines: {len(verdict.bad_lines)}"]
    memory = ", ".join(f"{name} {size >> 20}" for name, size in verdict.resident.items())
    return [
        f"acknowledged values lost: {sum(map(len, verdict.lost.values()))} reads in "
        f"{len(verdict.lost)} of {verdict.checked} keys; siblings resolved by the cap: "
        f"{verdict.siblings_resolved}",
        f"copies compared with {verdict.looked_with}: {verdict.differed_at_first} keys differed at "
        f"first, {len(verdict.still_differing)} after {verdict.converged_after:.1f} s",
        f"keys that read differently from node to node: {len(verdict.disagreeing)}",
        f"resident memory, MiB: {memory}",
        f"deaths: {verdict.deaths or 'none'}; bad log lines: {len(verdict.bad_lines)}",
    ]


def failure_lines(chaos, verdict):
    failures = verdict.rate.failures
    if not failures:
        return []
    words = ", ".join(f"{word} {count}" for word, count in errors_by_word(failures).most_common())
    lines = ["", f"failed commands: {words}"]
    groups = {}
    for record in failures:
        event = chaos.timeline.last_event(record.end)
        groups.setdefault((event.what if event else "the start", record.word,
                           "reads" if record.is_read else "writes"), []).append((event, record))
    for (what, word, kind), records in sorted(groups.items(), key=lambda item: -len(item[1])):
        times = [record.end - event.end if event else 0 for event, record in records]
        hosts = sorted({record.host for _, record in records})
        lines.append(f"  {len(records):>5} {kind} {word} {min(times):.2f} to {max(times):.2f} s "
                     f"after '{what}', through {', '.join(hosts)}")
    lines = lines[:2 + 3 * SHOWN]
    needy = [record for record in failures
             if not record.is_read and chaos.timeline.owners_near(record) < W]
    none = sum(chaos.timeline.owners_near(record) == 0 for record in needy)
    lines.append(f"  {len(needy)} of them are writes that only fallbacks could have taken: {none} "
                 f"with no owner on the client's side of a partition, {len(needy) - none} with one")
    return lines + [f"  e.g. {record.text}" for record in failures[:3]]


def some(findings):
    """The first of many findings, for an assertion's message."""
    shown = [f"{key}: {found}" for key, found in sorted(findings.items())[:SHOWN]]
    more = len(findings) - len(shown)
    return "\n".join(shown + ([f"and {more} more"] if more > 0 else []))
