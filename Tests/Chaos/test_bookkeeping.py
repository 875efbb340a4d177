"""The chaos suite judges others, so its own judgement is tested first, without any process."""

from copies import differing, parse_preflist
from judgement import lost_values
from load import Book, Record
from plan import ALL_PHASES, Plan
from timeline import Cut, Event, Span, Timeline, slot_of

A, B, C, D, E = HOSTS = ("a", "b", "c", "d", "e")


# A key here is named after its owners.
def cut(*pairs, both=True):
    back = {(to, sender) for sender, to in pairs} if both else set()
    owners = {slot_of(key): set(key) for key in ("abc", "ade", "cde")}
    return Cut(start=0.0, hosts=HOSTS, directions=frozenset(set(pairs) | back), owners=owners)


def halves():
    return cut(*[(few, many) for few in (A, B) for many in (C, D, E)])


def record(host=A, start=1.0, end=1.1, is_read=False, key="abc"):
    return Record(start, end, host, "NOREPLICAS", is_read, key, "")


def vget_reply(*values):
    return [b"context", b"token", b"values", list(values)]


def test_a_value_is_lost_when_it_was_acknowledged_not_covered_and_not_found():
    book = Book(acknowledged={"sib:k": {b"kept", b"covered", b"missing"}},
                covered={"sib:k": {b"covered"}}, sibling_keys={"sib:k"})
    assert lost_values(book, "sib:k", vget_reply(b"kept", b"in doubt")) == [b"missing"]
    assert lost_values(book, "sib:k", vget_reply(b"kept", b"missing")) == []


def test_books_of_two_clients_count_together():
    """One client's value may be covered by the other's context."""
    first, second = Book(), Book()
    first.acknowledged["k"].add(b"v")
    second.covered["k"].add(b"v")
    assert first.lost("k", set()) == {b"v"}
    first.merge(second)
    assert first.lost("k", set()) == set()


def test_a_register_is_lost_when_it_is_gone_or_holds_what_nobody_wrote():
    book = Book(acknowledged={"lww:k": {b"v"}}, registers={"lww:k": {b"v", b"in doubt"}})
    assert lost_values(book, "lww:k", b"v") == []
    assert lost_values(book, "lww:k", b"in doubt") == []
    assert lost_values(book, "lww:k", None) == [b"v"]
    assert lost_values(book, "lww:k", b"foreign") == [b"v"]


def test_both_sides_of_two_halves_can_write_and_only_two_owners_can_read():
    assert all(halves().allows_write(host) for host in HOSTS)
    assert halves().allows_read(A, "abc") and not halves().allows_read(C, "abc")
    assert halves().allows_read(C, "ade") and not halves().allows_read(A, "ade")


def test_a_node_alone_can_do_nothing_and_the_others_everything():
    alone = cut(*[(A, other) for other in HOSTS[1:]])
    assert not alone.allows_write(A) and not alone.allows_read(A, "abc")
    assert alone.allows_write(B) and alone.allows_read(D, "abc")


def test_one_lost_direction_between_two_nodes_stops_nobody():
    one_way = cut((A, B), both=False)
    assert one_way.reach(A) == {A, C, D, E} and one_way.reach(B) == {B, C, D, E}
    assert one_way.allows_read(A, "abc") and one_way.allows_read(E, "abc")


def test_a_refusal_counts_when_a_quorum_was_possible():
    timeline = Timeline(cuts=[halves()])
    timeline.cuts[0].end = 5.0
    assert timeline.quorum_was_possible(record(C, is_read=False))
    assert not timeline.quorum_was_possible(record(C, is_read=True))
    assert timeline.owners_near(record(C)) == 1 and timeline.owners_near(record(A)) == 2
    assert timeline.quorum_was_possible(record(C, start=6.0, end=6.1, is_read=True))


def test_excused_seconds_join_when_events_are_near():
    timeline = Timeline(events=[Event("kill", "", 10.0, 10.0), Event("kill", "", 10.5, 10.7),
                                Event("kill", "", 20.0, 20.0)])
    assert timeline.windows() == [Span(10.0, 11.7), Span(20.0, 21.0)]


def test_a_slot_is_that_of_redis_cluster():
    assert slot_of("123456789") == 12739


def test_owners_that_hold_different_versions_are_found():
    reply = [[b"owner", b"id1", b"h:1", b"alive", b"v1"],
             [b"owner", b"id2", b"h:2", b"alive", None],
             [b"fallback", b"id3", b"h:3", b"alive", None]]
    owners = {holder.address: holder.version for holder in parse_preflist(reply)
              if holder.is_owner}
    assert differing({"k": owners, "same": {"h:1": b"v", "h:2": b"v"}}) == {"k": owners}


def test_a_seed_draws_the_same_faults_whatever_phases_run():
    one, other = Plan(7, ALL_PHASES, False), Plan(7, ("stop",), False)
    assert one.stop_lengths() == other.stop_lengths()
    assert len(one.stop_lengths()) == 10 and max(one.stop_lengths()) == 20.0
    kinds = one.partition_kinds()
    assert len(kinds) == 10 and len(set(kinds)) == 6
    assert sum(1 <= length <= 4 for length in one.stop_lengths()) == 9
