"""The spool's ledger on disk: what became of every sequence, and which drops the collector does not know of yet.

It is saved before a page is unlinked, never after. Two files, ``ledger.0`` and ``ledger.1``, each hold the whole of
it: one line ``tengwang-spool 1 <generation> <bytes> <crc32>``, then JSON. Both are written at each save, one after
the other with fsync, in place and within space that was allotted when they were made. So a torn save leaves the other
file, a bit flip in one is repaired from the other, and a full disk can not keep the ledger from being saved.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

import msgspec

from agent.disk import Disk, File
from telemetry.errors import ConfigError
from telemetry.intervals import Intervals, Range
from telemetry.ledger import DropReason, EpochLedger

VERSION = 1
NAMES = ("ledger.0", "ledger.1")
ALLOT = 64 * 1024
_LINE = re.compile(rb"tengwang-spool (\d+) (\d+) (\d+) (\d+)\n")


class Drop(msgspec.Struct, frozen=True, array_like=True):
    """One dropped range. ``report_epoch`` and ``report_sequence`` say which event reports it; 0: none does yet."""

    epoch: int
    first: int
    last: int
    reason: str
    report_epoch: int = 0
    report_sequence: int = 0


class EpochState:
    """One epoch: every sequence 1..high is acked, dropped for one reason, or still on the disk."""

    def __init__(
        self, high: int = 0, acked: Iterable[Range] = (), dropped: dict[str, list[Range]] | None = None
    ) -> None:
        self.high = high
        self.acked = Intervals(acked)
        self.dropped = {reason: Intervals(ranges) for reason, ranges in (dropped or {}).items()}
        self.gone = Intervals(self.acked)
        for ranges in self.dropped.values():
            self.gone.update(ranges)

    @property
    def spooled(self) -> int:
        return self.high - self.gone.count

    def ack(self, first: int, last: int) -> int:
        """How many were not gone before. One that was dropped already stays so."""
        new = self.gone.missing(first, min(last, self.high))
        self.gone.update(new)
        return self.acked.update(new)

    def drop(self, first: int, last: int, reason: str) -> Intervals:
        """What was not gone before, and now is."""
        new = self.gone.missing(first, last)
        if new:
            self.high = max(self.high, last)
            self.gone.update(new)
            self.dropped.setdefault(reason, Intervals()).update(new)
        return new

    def row(self, epoch: int) -> EpochLedger:
        dropped = {reason: ranges.count for reason, ranges in self.dropped.items()}
        return EpochLedger(epoch, self.high, self.acked.count, self.spooled, dropped)


class _Epoch(msgspec.Struct, omit_defaults=True):
    high: int
    acked: list[Range] = []
    dropped: dict[str, list[Range]] = {}


class _Saved(msgspec.Struct, omit_defaults=True):
    boot: int = 0
    time: int = 0
    clean: bool = False
    agent: str = ""
    collected: int = 0
    acked: int = 0
    dropped: dict[str, int] = {}
    epochs: dict[int, _Epoch] = {}
    drops: list[Drop] = []
    sent: dict[int, int] = {}


class Ledger:
    """``boot``: number of the newest run; ``time``: spool time in ms; ``clean``: the last run closed the spool.

    ``collected``, ``acked`` and ``dropped`` are of epochs that are finished and forgotten. ``sent``: by epoch, the
    newest sequence that may be stored over there, acked or not.
    """

    def __init__(self, disk: Disk, folder: Path) -> None:
        """Raises OSError, and ConfigError where a newer program wrote it."""
        self._disk, self._folder = disk, folder
        self._generation = 0
        self._allotted = 0
        self._files: list[File] = []
        saved = self._load()
        self.new = not any(file.size() for file in self._files)
        """There was none: this is the first run."""
        self.lost = saved is None
        """No file was readable: what was acked before is not known."""
        saved = saved or _Saved()
        self.boot, self.time, self.clean, self.agent = saved.boot, saved.time, saved.clean, saved.agent
        self.collected, self.acked, self.dropped = saved.collected, saved.acked, saved.dropped
        self.epochs = {number: EpochState(e.high, e.acked, e.dropped) for number, e in saved.epochs.items()}
        self.drops = saved.drops
        self.sent = saved.sent

    def _load(self) -> _Saved | None:
        best: tuple[int, _Saved] | None = None
        self._files = [self._disk.open(self._folder / name) for name in NAMES]
        for file in self._files:
            text = file.read(0, file.size())
            line = _LINE.match(text)
            body = text[line.end() : line.end() + int(line[3])] if line else b""
            if line and int(line[1]) > VERSION and crc32(body) == int(line[4]):
                hint = "run the newer tengwang-agent, or move the folder away (what is in it is then not sent)"
                raise ConfigError.one(
                    str(self._folder), f"a newer program wrote this spool (version {int(line[1])})", hint
                )
            if line and crc32(body) == int(line[4]):
                with contextlib.suppress(msgspec.DecodeError):
                    saved = msgspec.json.decode(body, type=_Saved)
                    if best is None or int(line[2]) > best[0]:
                        best = (int(line[2]), saved)
        if best is not None:
            self._generation = best[0]
        return best[1] if best else None

    def save(self) -> None:
        """Durable when it returns. Raises OSError; what is on the disk is then the former or this state."""
        epochs = {
            number: _Epoch(e.high, list(e.acked), {reason: list(ranges) for reason, ranges in e.dropped.items()})
            for number, e in self.epochs.items()
        }
        saved = _Saved(
            self.boot, self.time, self.clean, self.agent, self.collected, self.acked, self.dropped, epochs, self.drops,
            self.sent,
        )  # fmt: skip
        body = msgspec.json.encode(saved)
        self._generation += 1
        data = b"tengwang-spool %d %d %d %d\n" % (VERSION, self._generation, len(body), crc32(body)) + body
        self._allot(len(data))
        for file in self._files:
            file.write_at(0, data)
            file.sync()

    def forget(self, epoch: int) -> None:
        """An epoch of which nothing is left on the disk: only the sums stay."""
        row = self.epochs.pop(epoch).row(epoch)
        self.sent.pop(epoch, None)
        self.collected += row.collected
        self.acked += row.acked
        for reason, count in row.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def begin_anew(self, agent: str) -> None:
        """Another identity, so another ledger: of the epochs that wait all that is gone is ``elsewhere``."""
        if self.agent:
            self.collected, self.acked, self.dropped, self.drops, self.sent = 0, 0, {}, [], {}
            self.epochs = {
                n: EpochState(e.high, (), {DropReason.ELSEWHERE: list(e.gone)}) for n, e in self.epochs.items()
            }
            for number, state in self.epochs.items():
                self.drops += [Drop(number, first, last, DropReason.ELSEWHERE) for first, last in state.gone]
        self.agent = agent

    def _allot(self, size: int) -> None:
        """Let both files have room, so that a save never needs more of the disk."""
        wanted = -(-size // ALLOT) * ALLOT
        if wanted <= self._allotted:
            return
        for file in self._files:
            if (now := file.size()) < wanted:
                file.append(b"\0" * (wanted - now))
                file.sync()
        self._disk.sync_folder(self._folder)
        self._allotted = wanted

    def close(self) -> None:
        for file in self._files:
            file.close()
