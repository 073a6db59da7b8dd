"""The seed alone decides what happens when."""

from __future__ import annotations

import pytest

from tests.chaos.schedule import Fault, Kind, Targets, make

EMBEDDED = Targets(("city", "county", "bureau"), ("backbone.county",))
CLUSTER = Targets(("city", "county", "bureau"), ("backbone.county",), nodes=3)


def overlap(one: Fault, other: Fault) -> bool:
    return one.at < other.at + other.seconds and other.at < one.at + one.seconds


def test_a_seed_replays_and_another_differs() -> None:
    assert make(7, 100, CLUSTER) == make(7, 100, CLUSTER)
    assert make(7, 100, CLUSTER) != make(8, 100, CLUSTER)


@pytest.mark.parametrize("targets", [EMBEDDED, CLUSTER])
def test_every_kind_that_fits_the_store_comes(targets: Targets) -> None:
    kinds = {fault.kind for fault in make(1, 20, targets)}
    assert (Kind.KILL_NODE in kinds) == (Kind.READ_ONLY in kinds) == bool(targets.nodes)
    assert (Kind.FILL_STORE in kinds) == (not targets.nodes)
    assert len(kinds) == (10 if targets.nodes else 9)


@pytest.mark.parametrize("seed", range(20))
def test_one_target_has_one_fault_at_a_time_and_one_node_is_down_at_most(seed: int) -> None:
    faults = make(seed, 60, CLUSTER)
    assert len(faults) == 60
    disks_and_links = (Kind.FILL_SPOOL, Kind.FILL_STORE, Kind.CUT_LINK)
    for i, one in enumerate(faults):
        for other in faults[i + 1 :]:
            if overlap(one, other):
                same_kind_of_thing = (one.kind in disks_and_links) == (other.kind in disks_and_links)
                assert one.target != other.target or not same_kind_of_thing
                assert {one.kind, other.kind} != {Kind.KILL_NODE}
