"""What an order's state is: every way that agent, others and time can go, against what must always hold."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.response import judgement
from collector.response.judgement import Seen, judge
from collector.response.model import Kept, Proposal, Reports, State
from telemetry.order import CONTAINING, Action, Scope, SignedOrder
from telemetry.verdict import Text

T0 = 1_790_000_000_000
MINUTE = 60_000


def kept(action: Action = Action.DROP_ROGUE_RA, **changes: object) -> Kept:
    made = Kept(
        id="o1",
        incident="i1",
        proposal=Proposal(
            playbook="p", title=Text("x", "x"), action=action, agent="switch", scope=Scope.SEGMENT,
            mac="02:00:00:00:00:66", ttl_ms=60 * MINUTE, begin_ms=10 * MINUTE,
        ),
        state=State.APPROVED,
        proposed_ms=T0,
        decided_ms=T0,
        not_after_ms=T0 + 10 * MINUTE,
        until_ms=T0 + 60 * MINUTE,
        signed=SignedOrder("{}", ""),
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def applied(now_ms: int, packets: int = 5) -> Kept:
    reports = Reports(applied_ms=T0 + 2000, reported_ms=now_ms, packets=packets)
    return kept(ordered_ms=T0 + 1000, reports=reports)


def test_it_waits_for_the_agent_and_expires_where_that_stays_away() -> None:
    assert judge(kept(), Seen(), T0 + 1).state is State.APPROVED
    late = T0 + 10 * MINUTE + judgement.ARRIVAL_MS
    assert judge(kept(), Seen(), late - 1).state is State.APPROVED
    assert judge(kept(), Seen(), late) == judgement.Verdict(State.EXPIRED, "agent_away")


def test_what_the_agent_has_and_never_spoke_of_is_unknown_not_expired() -> None:
    given_out = kept(ordered_ms=T0 + 1000)
    assert judge(given_out, Seen(), T0 + MINUTE).state is State.ORDERED
    assert judge(given_out, Seen(), T0 + 11 * MINUTE) == judgement.Verdict(State.UNKNOWN, "not_told")


def test_counters_and_a_quiet_other_view_are_effective() -> None:
    now = T0 + 2000 + judgement.QUIET_MS
    quiet = Seen(watching=(("probe", now),))
    assert judge(applied(now), quiet, now).state is State.EFFECTIVE
    assert judge(applied(now - 1), Seen(watching=(("probe", now - 1),)), now).state is State.APPLIED


def test_counters_alone_are_never_effective() -> None:
    now = T0 + 2000 + judgement.VERIFY_MS
    assert judge(applied(now), Seen(), now) == judgement.Verdict(State.UNKNOWN, "no_second_view")
    silent = Seen(watching=(("probe", T0 + 1000),))
    assert judge(applied(now), silent, now).state is State.UNKNOWN


def test_quiet_alone_is_never_effective() -> None:
    now = T0 + 2000 + judgement.VERIFY_MS
    verdict = judge(applied(now, packets=0), Seen(watching=(("probe", now),)), now)
    assert verdict == judgement.Verdict(State.UNKNOWN, "nothing_met")


def test_others_that_still_see_it_make_it_not_effective_whatever_the_counters_say() -> None:
    now = T0 + 30_000
    seen = Seen(bad_ms=now - 1000, watching=(("probe", now),))
    assert judge(applied(now, packets=1000), seen, now) == judgement.Verdict(State.APPLIED_NOT_EFFECTIVE, "goes_on")
    under_way = Seen(bad_ms=T0 + 2000 + judgement.SETTLE_MS, watching=(("probe", now),))
    assert judge(applied(now), under_way, now).state is State.APPLIED


def test_it_may_become_effective_after_it_was_not() -> None:
    bad = T0 + 30_000
    now = bad + judgement.QUIET_MS
    assert judge(applied(now), Seen(bad_ms=bad, watching=(("probe", now),)), now).state is State.EFFECTIVE


def test_an_ordered_measurement_is_another_view_at_once() -> None:
    now = T0 + 20_000
    assert judge(applied(now), Seen(good_ms=now - 500), now).state is State.EFFECTIVE
    still = Seen(good_ms=now - 5000, bad_ms=now - 500)
    assert judge(applied(now), still, now).state is State.APPLIED_NOT_EFFECTIVE


def test_a_silent_acting_agent_makes_it_unknown() -> None:
    now = T0 + 20 * MINUTE
    old = applied(now - judgement.SILENT_MS - 1)
    assert judge(old, Seen(watching=(("probe", now),)), now) == judgement.Verdict(State.UNKNOWN, "agent_silent")


def test_the_end_is_verified_or_said_not_to_be() -> None:
    end = T0 + 60 * MINUTE
    held = applied(end - 1000)
    assert judge(held, Seen(), end).state is State.UNDOING
    assert judge(held, Seen(), end + judgement.UNDO_MS).state is State.UNDO_NOT_VERIFIED
    gone = msgspec.structs.replace(held.reports, undone_ms=end + 500, undo_verified=True)
    assert judge(msgspec.structs.replace(held, reports=gone), Seen(), end + 1000).state is State.UNDONE
    stuck = msgspec.structs.replace(gone, undo_verified=False)
    assert judge(msgspec.structs.replace(held, reports=stuck), Seen(), end + 1000).state is State.UNDO_NOT_VERIFIED


def test_a_withdrawal_undoes_before_the_end() -> None:
    asked = msgspec.structs.replace(applied(T0 + 30_000), withdrawn_ms=T0 + 40_000, state=State.UNDOING)
    assert judge(asked, Seen(), T0 + 41_000) == judgement.Verdict(State.UNDOING, "withdrawn")
    assert judge(asked, Seen(), T0 + 40_000 + judgement.UNDO_MS).state is State.UNDO_NOT_VERIFIED


TIMES = st.just(0) | st.integers(T0 - 10 * MINUTE, T0 + 90 * MINUTE)
REPORTS = st.builds(
    Reports, TIMES, TIMES, st.integers(0, 3), st.integers(0, 300), TIMES, TIMES, TIMES, TIMES, st.booleans()
)
SEEN = st.builds(Seen, TIMES, st.lists(st.tuples(st.sampled_from("abc"), TIMES), max_size=3).map(tuple), TIMES)


@settings(max_examples=500)
@given(
    st.sampled_from(list(Action)), st.sampled_from(list(State)), REPORTS, SEEN, TIMES, TIMES,
    st.integers(T0, T0 + 90 * MINUTE), st.booleans(),
)  # fmt: skip
def test_whatever_happens(
    action: Action, state: State, reports: Reports, seen: Seen, ordered: int, withdrawn: int, now: int, signed: bool
) -> None:
    order = kept(action, state=state, reports=reports, ordered_ms=ordered, withdrawn_ms=withdrawn)
    if not signed:
        order = msgspec.structs.replace(order, signed=None)
    verdict = judge(order, seen, now)
    if state is State.PROPOSED or not signed:
        assert verdict.state is state
        return
    assert verdict == judge(order, seen, now)
    assert verdict.state not in (State.PROPOSED,)
    if verdict.state is State.EFFECTIVE and action in CONTAINING:
        assert reports.applied_ms
        assert reports.packets
        assert seen.good_ms > reports.applied_ms or any(at > reports.applied_ms for _, at in seen.watching)
        assert now < order.until_ms
    if verdict.state is State.UNDONE:
        assert reports.undone_ms
        assert reports.undo_verified
    if verdict.state in (State.APPLIED_NOT_EFFECTIVE,):
        assert seen.bad_ms > reports.applied_ms > 0
    if verdict.state in (State.UNKNOWN, State.APPLIED_NOT_EFFECTIVE, State.UNDO_NOT_VERIFIED) and not (
        reports.undone_ms or reports.failed_ms
    ):
        assert verdict.why
    much_later = judge(order, seen, order.until_ms + judgement.UNDO_MS + judgement.ARRIVAL_MS)
    if action in CONTAINING:
        assert much_later.state in (
            State.REFUSED, State.FAILED, State.EXPIRED, State.UNDONE, State.UNDO_NOT_VERIFIED,
        )  # fmt: skip
