"""What is remembered of one exporter's domain: where its sequence is, how it samples, how far its clock is away.

Pure: time is an argument. Gaps wait a moment before they are told, as a datagram that was overtaken fills its own.
"""

from __future__ import annotations

import statistics
import struct
from collections import deque

from agent.decoders.flow_exports import Datagram, Head, Waiting
from agent.decoders.flow_templates import Record, Rows, Templates
from telemetry.errors import Permanent

WRAP = 1 << 32
LATE = 4096
"""A sequence number that is behind by less than this was overtaken; by more: the exporter began anew."""
LEAP = 1_000_000
"""Ahead by more than this: it began anew somewhere else. No gap is so large while the exporter is heard at all."""
MOST_SAMPLERS = 256
MOST_RATE = 1 << 32
MOST_WAITING, MOST_WAITING_BYTES = 64, 65_536
SKEWS = 9
"""The clock's skew is the median over so many datagrams: one that waited in a queue says nothing."""


class Sequence:
    """``see`` each datagram; ``take`` what is lost for good."""

    def __init__(self) -> None:
        self._expected = -1
        self._missing = self._ripe = 0
        self.restarts = 0

    def see(self, sequence: int, units: int) -> None:
        """``units``: by how many the number rises; below 0: not known, so the next number is believed."""
        expected = self._expected
        following = (sequence + units) % WRAP if units >= 0 else -1
        if expected < 0:
            self._expected = following
            return
        ahead = (sequence - expected) % WRAP
        if ahead == 0:
            self._expected = following
        elif ahead <= LEAP:
            self._missing += ahead
            self._expected = following
        elif WRAP - ahead < LATE:
            # overtaken: it was counted as missing; or one that came twice, which was not
            filled = min(max(units, 0), self._missing + self._ripe)
            take = min(filled, self._missing)
            self._missing -= take
            self._ripe -= filled - take
        else:
            self.restart()
            self._expected = following

    def restart(self) -> None:
        self.restarts += 1
        self._expected = -1

    def take(self) -> int:
        """What was missing at the last call and still is."""
        lost, self._ripe, self._missing = self._ripe, self._missing, 0
        return lost


class Sampling:
    """Rates that the exporter has told: one for all, and one a sampler. The newest counts."""

    def __init__(self) -> None:
        self._common = 0
        self._samplers: dict[int, int] = {}
        self.boot_ms = -1
        """systemInitTimeMilliseconds: what uptimes in IPFIX count from."""

    def learn(self, options: Record) -> None:
        """One options record."""
        boot = options.get("boot_ms")
        if isinstance(boot, int):
            self.boot_ms = boot
        rate = rate_of(options)
        if not rate:
            return
        sampler = options.get("sampler")
        if not isinstance(sampler, int):
            self._common = rate
            return
        if sampler not in self._samplers and len(self._samplers) >= MOST_SAMPLERS:
            del self._samplers[next(iter(self._samplers))]
        self._samplers[sampler] = rate

    def of(self, record: Record, head: Head, configured: int) -> tuple[int, str]:
        """The rate of a record, and who said it."""
        if configured:
            return configured, "configuration"
        if head.sampling > 1:
            return head.sampling, "header"
        if rate := rate_of(record):
            return rate, "record"
        sampler = record.get("sampler")
        if isinstance(sampler, int):
            if rate := self._samplers.get(sampler, 0):
                return rate, "sampler"
            if len(self._samplers) == 1 and sampler == 0:
                return 1, "sampler"  # flow samplers count from 1: 0 is none
        if self._common:
            return self._common, "options"
        if len(self._samplers) == 1 and not isinstance(sampler, int):
            return next(iter(self._samplers.values())), "sampler"
        return 1, "assumed"


def rate_of(record: Record) -> int:
    """Packets on the wire for each that was taken; 0 where the record does not say."""

    def whole(name: str) -> int:
        value = record.get(name)
        return value if isinstance(value, int) else 0

    if whole("packet_interval"):
        return _bounded((whole("packet_interval") + whole("packet_space")) / whole("packet_interval"))
    if whole("sample_size"):
        return _bounded(whole("population") / whole("sample_size"))
    probability = record.get("probability")
    if isinstance(probability, bytes) and len(probability) in (4, 8):
        share = struct.unpack(">f" if len(probability) == 4 else ">d", probability)[0]
        return _bounded(1 / share) if 0 < share <= 1 else 0
    return _bounded(whole("interval") or whole("sampler_interval"))


def _bounded(rate: float) -> int:
    return max(0, round(min(rate, MOST_RATE)))


class Session:
    """One domain of one exporter."""

    def __init__(self) -> None:
        self.templates = Templates()
        self.sequence = Sequence()
        self.sampling = Sampling()
        self.datagrams = self.records = self.malformed = self.lost = 0
        """In the present period."""
        self.rate, self.rate_source = 1, "assumed"
        self.protocol = ""
        self.heard = 0.0
        self.uptime_ms = -1
        self.flagged = False
        self._skews: deque[int] = deque(maxlen=SKEWS)
        self._waiting: deque[tuple[float, Head, Waiting]] = deque()
        self._waiting_bytes = 0
        self.given_up = 0
        """Sets that waited in vain; whoever tells it sets it to 0."""

    @property
    def skew_ms(self) -> int:
        return round(statistics.median(self._skews)) if self._skews else 0

    @property
    def clocked(self) -> bool:
        """It has said what time it is."""
        return bool(self._skews)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def see(self, made: Datagram, now: float, now_ms: int) -> None:
        """Take notice of a datagram's header, of its options, and of what has to wait."""
        head = made.head
        self.heard = now
        self.datagrams += 1
        self._skews.append(head.export_ms - now_ms)
        self.note_uptime(head.uptime_ms)
        self.sequence.see(head.sequence, made.units)
        for options in made.options:
            self.sampling.learn(options)
        self.malformed += len(made.malformed)
        for waiting in made.waiting:
            self._waiting.append((now, head, waiting))
            self._waiting_bytes += len(waiting.data)
        while len(self._waiting) > MOST_WAITING or self._waiting_bytes > MOST_WAITING_BYTES:
            self._give_up()

    def note_uptime(self, uptime_ms: int) -> None:
        """An uptime that falls, other than by running over, is a restart: its sequence begins anew."""
        fell = self.uptime_ms - uptime_ms
        if uptime_ms >= 0 and 60_000 < fell < WRAP - 60_000:
            self.sequence.restart()
        self.uptime_ms = uptime_ms

    def ready(self) -> list[tuple[Head, Waiting]]:
        """Take out the sets whose template has come."""
        if not self._waiting:
            return []
        ready = [(head, held) for _, head, held in self._waiting if self.templates.get(held.number) is not None]
        if ready:
            rest = [item for item in self._waiting if self.templates.get(item[2].number) is None]
            self._waiting = deque(rest)
            self._waiting_bytes = sum(len(held.data) for _, _, held in rest)
        return ready

    def expire(self, before: float) -> None:
        """What has waited since before then waits no longer."""
        while self._waiting and self._waiting[0][0] < before:
            self._give_up()

    def give_up_all(self) -> None:
        while self._waiting:
            self._give_up()

    def _give_up(self) -> None:
        _, _, held = self._waiting.popleft()
        self._waiting_bytes -= len(held.data)
        self.given_up += 1

    def load(self, rows: Rows) -> None:
        """Templates of an earlier run; none where they are damaged."""
        try:
            self.templates.load(rows)
        except Permanent:
            self.templates = Templates()
