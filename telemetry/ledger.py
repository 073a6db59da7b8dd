"""The agent's own account of delivery, as it travels in ``tengwang.agent``/``status`` events.

The ledger of an agent: *collected = stored + spooled + dropped(reason)*.

An agent counts in one **epoch** per priority (telemetry/event.py) and run of the program: epochs rise over restarts,
and within each the sequences 1, 2, 3 ... have no gap. So what is delivered, waiting or dropped of an epoch is always
a handful of ranges, however long an outage was. A status event carries:

- ``tengwang.ledger.collected / acked / spooled / dropped``: totals over all epochs since the spool was made;
- ``tengwang.ledger.detail``: JSON of EpochLedger rows (``encode``) for every epoch of this run, and every earlier one
  of which something still waits. The status event itself is not yet in the numbers it carries.

A ``dropped`` event names one range: ``tengwang.drop.epoch / first / last / count`` and ``event.reason`` (DropReason).
It is repeated until it has arrived.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec

MAX_TOLD = 500
"""A status event tells of so many epochs at most, the newest. Where it tells of fewer, nothing waits in any other."""


class DropReason(enum.StrEnum):
    """Why a sequenced event will never be stored."""

    FULL = "full"
    """The spool reached its size bound; lowest priority first, oldest first."""
    AGE = "age"
    """It waited longer than the spool's age bound."""
    DISK_FULL = "disk_full"
    """The disk had no room and the memory buffer was full too."""
    CORRUPT = "corrupt"
    """Its page was damaged on the disk."""
    REFUSED = "refused"
    """The collector refuses this very record; it is in quarantine on the agent."""
    ELSEWHERE = "elsewhere"
    """It was stored, or told as dropped, under a former identity of this agent: another collector has it."""


class EpochLedger(msgspec.Struct, frozen=True):
    """One epoch: ``collected`` is also its highest sequence; collected = acked + spooled + sum of dropped."""

    epoch: int
    collected: int
    acked: int
    spooled: int
    dropped: Mapping[str, int] = {}


def encode(rows: Iterable[EpochLedger]) -> str:
    """JSON text for ``tengwang.ledger.detail``."""
    return msgspec.json.encode(list(rows)).decode()


def decode(text: str) -> list[EpochLedger]:
    """Raises msgspec.DecodeError where it is not such a text."""
    return msgspec.json.decode(text, type=list[EpochLedger])
