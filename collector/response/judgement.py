"""In which state an order is, from what its agent says, what the others measure, and the time. A pure function.

An action is *effective* only when two things agree: its own rules have met packets, and another view no longer measures
what raised the incident. Another view is an agent that raised alerts of it before and is heard after, or a measurement
ordered afterwards (``recheck``). The acting agent is no other view: its sensors stand before its rules, and see the
intruder as before. Where either is missing the state is *unknown*, and where the others still measure it, *applied, not
effective*: both are told to a person. What an agent was given and never spoke of again is unknown too, not expired.
"""

from __future__ import annotations

import msgspec

from collector.response.model import Kept, State
from telemetry.order import CONTAINING, Scope

SETTLE_MS = 3_000
"""After the rules are there, packets already under way may still be measured elsewhere."""
QUIET_MS = 75_000
"""Agents fold what repeats for 60 s (agent/inputs/ndp.py): silence for less proves nothing."""
VERIFY_MS = 100_000
"""So long it is being measured; what is not known then is unknown."""
SILENT_MS = 60_000
"""An acting agent tells its counters every few seconds."""
ARRIVAL_MS = 20_000
"""How late what an agent said in time may be known here."""
UNDO_MS = 60_000


class Seen(msgspec.Struct, frozen=True):
    """What others than the acting agent measure, by their agents' ids."""

    bad_ms: int = 0
    """Newest time at which anyone else measured it after the rules were there (SETTLE_MS passed over); 0: nobody."""
    watching: tuple[tuple[str, int], ...] = ()
    """Agents that measured it before, and when each was heard last: silence of these means something."""
    good_ms: int = 0
    """Newest measurement, ordered after the rules were there, that shows that it is over."""


class Verdict(msgspec.Struct, frozen=True):
    state: State
    why: str = ""
    detail: str = ""


def judge(kept: Kept, seen: Seen, now_ms: int) -> Verdict:
    """States that a person or a playbook decided (proposed, refused before it was sent) stay as they are."""
    if kept.state is State.PROPOSED or not kept.signed:
        return Verdict(kept.state, kept.why, kept.detail)
    said = kept.reports
    if said.refused_ms and not said.applied_ms:
        return Verdict(State.REFUSED, said.reason or "by_agent", said.detail)
    if said.failed_ms and said.failed_ms >= said.reported_ms:
        return Verdict(State.FAILED, said.reason or "failed", said.detail)
    if kept.proposal.action not in CONTAINING:
        return _measured(kept, now_ms)
    if said.undone_ms and said.undone_ms >= said.reported_ms:
        if said.undo_verified:
            return Verdict(State.UNDONE, said.reason, said.detail)
        return Verdict(State.UNDO_NOT_VERIFIED, said.reason, said.detail)
    if not said.applied_ms:
        return _waiting(kept, now_ms)
    end = _end(kept)
    if end <= now_ms:
        if now_ms < end + UNDO_MS:
            return Verdict(State.UNDOING, "withdrawn" if kept.withdrawn_ms else "ended")
        return Verdict(State.UNDO_NOT_VERIFIED, "not_told")
    return _effect(kept, seen, now_ms)


def _measured(kept: Kept, now_ms: int) -> Verdict:
    """A measurement has no undo: it was made, or it was not."""
    if kept.reports.applied_ms:
        return Verdict(State.EFFECTIVE, "measured", kept.reports.detail)
    return _waiting(kept, now_ms)


def _waiting(kept: Kept, now_ms: int) -> Verdict:
    """Nothing was heard of it being applied."""
    late = now_ms >= kept.not_after_ms + ARRIVAL_MS
    if kept.reports.expired_ms or (late and not kept.ordered_ms):
        return Verdict(State.EXPIRED, "agent_away" if not kept.ordered_ms else "too_late")
    if late and now_ms < kept.until_ms + ARRIVAL_MS:
        return Verdict(State.UNKNOWN, "not_told")
    if late:
        return Verdict(State.EXPIRED, "not_told")
    if kept.withdrawn_ms:
        return Verdict(State.UNDOING, "withdrawn")
    return Verdict(State.ORDERED if kept.ordered_ms else State.APPROVED)


def _end(kept: Kept) -> int:
    return min(kept.until_ms, kept.withdrawn_ms or kept.until_ms)


def _effect(kept: Kept, seen: Seen, now_ms: int) -> Verdict:
    said = kept.reports
    applied = said.applied_ms
    if now_ms - said.reported_ms > SILENT_MS:
        return Verdict(State.UNKNOWN, "agent_silent")
    if seen.bad_ms > applied + SETTLE_MS and not _better(seen, seen.bad_ms):
        return Verdict(State.APPLIED_NOT_EFFECTIVE, "goes_on")
    since = max(applied, seen.bad_ms)
    confirmed = _better(seen, since) or (seen.good_ms > since + SETTLE_MS)
    if confirmed and said.packets:
        return Verdict(State.EFFECTIVE, "this_host_only" if kept.proposal.scope is Scope.HOST else "")
    if now_ms - applied < VERIFY_MS:
        return Verdict(State.APPLIED, "measuring")
    return Verdict(State.UNKNOWN, "nothing_met" if confirmed else "no_second_view")


def _better(seen: Seen, since_ms: int) -> bool:
    """Has another view been quiet for long enough since then, and able to speak, or measured that it is over?"""
    quiet = any(heard_ms >= since_ms + QUIET_MS for _, heard_ms in seen.watching)
    return quiet or seen.good_ms > since_ms + SETTLE_MS
