"""Kills, stops, partitions, joins and leaves under load, and then: was every promise kept?

The tests are the stages of one run, in order: the phases first, then what must hold after them.
"""

import pytest

from plan import ALL_PHASES, LEAST_SUCCESS, RESIDENT_BYTES
from report import some


@pytest.mark.parametrize("phase", ALL_PHASES)
def test_the_cluster_goes_through(run, phase):
    if phase not in run.plan.phases:
        pytest.skip("not among COTERIE_CHAOS_PHASES")
    if phase == "partition" and not run.network.can_be_cut:
        pytest.skip(f"partitions need network namespaces: {run.network.reason}")
    run.run(phase)


def test_every_client_lived_to_the_end(run, verdict):
    """A client that stopped early has seen no errors later."""
    assert not run.load.failures()
    assert verdict.rate.commands > 0


def test_the_cluster_is_whole_at_the_end(verdict):
    assert not verdict.ailment
    assert verdict.checked > 0


def test_no_node_died_by_itself(verdict):
    assert not verdict.deaths
    assert not verdict.bad_lines, "\n".join(verdict.bad_lines[:20])


def test_the_owners_of_every_key_are_identical(verdict):
    assert verdict.checked > 0, "nothing could be checked"
    assert not verdict.still_differing, some(verdict.still_differing)


def test_no_acknowledged_write_is_lost(verdict):
    assert verdict.checked > 0, "nothing could be checked"
    assert verdict.siblings_resolved == 0, "the load has made more siblings than a key may have"
    assert not verdict.lost, some(verdict.lost)


def test_every_key_reads_the_same_from_every_node(verdict):
    assert verdict.checked > 0, "nothing could be checked"
    assert not verdict.disagreeing, some(verdict.disagreeing)


def test_commands_succeed(verdict):
    rate = verdict.rate
    assert rate.success >= LEAST_SUCCESS, f"{rate.success:.4%} of {rate.commands} commands"


def test_no_node_grows_beyond_its_bound(verdict):
    assert verdict.resident, "no node lived to be measured"
    too_big = {name: size for name, size in verdict.resident.items() if size > RESIDENT_BYTES}
    assert not too_big, some(too_big)
