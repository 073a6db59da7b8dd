"""DNS over UDP port 53 as it passes this host, unsampled, summed up by client and registered domain.

Not each question is told: that is a flood, and it is a person's business what he looks up. What is told is how many,
how different, how long and how random the questions of a client for a domain were (``agent/questions.py``), which is
what a tunnel can not hide; and the answers for systems that the inventory has. ``names`` says how much of the names
is told. DNS over TCP and encrypted DNS are not read.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from agent import capture
from agent.decoders import addresses, datagram, dns, domains, segment_filters
from agent.folding import Answer, Folding, Window
from agent.input import Context
from agent.listener import Listener, Listening
from agent.questions import Key, Questions, Sum
from agent.tally import Tally
from telemetry.errors import Permanent
from telemetry.event import TIMESTAMP, Event, event
from telemetry.work import Work

DATASET = "tengwang.dns"
SNAP = 1600
MAX_SUMS, MAX_WINDOWS = 4096, 512
WATCHED = frozenset({"A", "AAAA"})


class Names(enum.StrEnum):
    FULL = "full"
    REGISTERED_DOMAIN = "registered_domain"
    NONE = "none"


class Config(Listening, frozen=True, forbid_unknown_fields=True, kw_only=True):
    names: Annotated[
        Names,
        msgspec.Meta(
            description="What is told of the names asked for: full (the longest one of each sum), registered_domain, "
            "or none (sums by client alone)"
        ),
    ] = Names.REGISTERED_DOMAIN
    window: Annotated[float, msgspec.Meta(description="Seconds over which questions are summed up", ge=1, le=3600)] = (
        60.0
    )
    quick: Annotated[
        float, msgspec.Meta(description="Seconds after which a busy sum is told before its window ends", ge=1, le=3600)
    ] = 5.0
    busy_names: Annotated[
        int, msgspec.Meta(description="Different names in a sum that make it busy", ge=2, le=4096)
    ] = 20
    busy_queries: Annotated[
        int, msgspec.Meta(description="Questions in a sum that make it busy", ge=2, le=1_000_000)
    ] = 200
    foreign: Annotated[
        int, msgspec.Meta(description="Packets that are no DNS, in `quick` seconds, that are told", ge=1)
    ] = 5
    rate: Annotated[float, msgspec.Meta(description="Sums a second told; more are lost, and counted", ge=0.1)] = 20.0
    burst: Annotated[int, msgspec.Meta(description="Sums told at once", ge=1, le=10_000)] = 500


def build(config: Config, context: Context) -> DnsInput:
    """Raises Blind without CAP_NET_RAW."""
    capture.require()
    return DnsInput(config, context)


class DnsInput:
    """Emits ``tengwang.dns`` events: ``summary``, ``client_summary`` over all domains, and ``answer``."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context = config, context
        self._questions = Questions(config.window, config.quick, config.busy_names, config.busy_queries, MAX_SUMS)
        self._answers: Folding[Event] = Folding(config.window, config.rate, config.burst, MAX_WINDOWS)
        self._foreign: Tally[tuple[bytes, bytes]] = Tally(
            config.quick, MAX_SUMS, 1, 0, lambda entry: entry.counts[0] >= config.foreign
        )
        self._tokens, self._tokens_at = float(config.burst), context.clock.monotonic()
        self._work = Work()
        self._own: frozenset[str] = frozenset()
        self._listener = Listener("dns", config, context, segment_filters.dns(SNAP), self._take, self._tick)

    async def collect(self) -> None:
        """Until cancelled."""
        self._know()
        await self._listener.run()

    def close(self) -> None:
        self._listener.close()
        for window in self._answers.flush():
            self._tell_folded(window)
        for key, held in self._questions.flush():
            self._tell(key, held, self._context.clock.now_ms())
        self._tell_foreign(float("inf"), self._context.clock.now_ms())

    def _know(self) -> None:
        work = self._context.work()
        if work is not self._work:
            self._work = work
            self._own = frozenset(domain.lower().rstrip(".") for system in work.systems for domain in system.domains)

    def _take(self, taken: capture.Captured, now: float, now_ms: int) -> None:
        packet = datagram.locate(taken.frame, taken.vlan)
        if self._listener.forwarded(taken, packet.source):
            return
        try:
            message = dns.decode(packet.payload)
        except Permanent:
            self._foreign.add((packet.source, packet.destination), 0, (), now, now_ms)
            raise
        domain = "" if self._config.names is Names.NONE else domains.registered(message.name)
        if message.response:
            self._questions.answer(
                packet.destination, packet.source, packet.destination_port, message, domain, packet.size, now, now_ms
            )
            if message.name in self._own and message.type in WATCHED:
                self._answer(packet, message, now, now_ms)
        else:
            self._questions.ask(
                packet.source, packet.destination, packet.source_port, message, domain, packet.size, now, now_ms
            )

    def _answer(self, packet: datagram.Datagram, message: dns.Message, now: float, now_ms: int) -> None:
        key = (packet.source, message.name, message.type, message.code, frozenset(message.answers))
        answer, _ = self._answers.ask(key, "answer", now, now_ms)
        if answer is Answer.DROP:
            self._listener.losses.note(1)
        elif answer is Answer.TELL:
            made = event(now_ms, DATASET, "answer")
            made["network.type"], made["network.transport"] = f"ipv{packet.version}", "udp"
            made["source.ip"] = addresses.text(packet.source)
            made["destination.ip"] = addresses.text(packet.destination)
            made["dns.question.name"], made["dns.question.type"] = message.name, message.type
            made["dns.question.registered_domain"] = domains.registered(message.name)
            made["dns.response_code"] = message.code
            made["tengwang.dns.answers"] = list(message.answers)
            if message.ttl >= 0:
                made["dns.answers.ttl"] = message.ttl
            self._answers.start(key, made, now, now_ms)
            self._context.emit(dict(made))

    def _tick(self, now: float, now_ms: int) -> None:
        self._know()
        for window in self._answers.ended(now):
            self._tell_folded(window)
        tokens = self._tokens + (now - self._tokens_at) * self._config.rate
        self._tokens, self._tokens_at = min(self._config.burst, tokens), now
        for key, held in self._questions.due(now):
            if self._tokens >= 1:
                self._tokens -= 1
                self._tell(key, held, now_ms)
            else:
                self._listener.losses.note(held.queries)
        self._tell_foreign(now, now_ms)
        self._listener.cut(self._questions.left_out)
        self._questions.left_out = 0

    def _tell_foreign(self, now: float, now_ms: int) -> None:
        """What goes to or from port 53 and is no DNS: a tunnel that does not even pretend."""
        for (source, target), entry in self._foreign.due(now):
            made = event(now_ms, DATASET, "not_dns")
            made["network.type"] = "ipv4" if len(source) == 4 else "ipv6"
            made["source.ip"], made["destination.ip"] = addresses.text(source), addresses.text(target)
            made["tengwang.dns.malformed"] = entry.counts[0]
            made["event.start"], made["event.end"] = entry.first_ms, entry.last_ms
            self._context.emit(made)

    def _tell_folded(self, window: Window[Event]) -> None:
        made = {**window.what, TIMESTAMP: window.last_ms}
        made["event.start"], made["event.end"] = window.first_ms, window.last_ms
        self._context.emit(made)

    def _tell(self, key: Key, held: Sum, now_ms: int) -> None:
        client, server, domain = key
        made = event(now_ms, DATASET, "summary" if server else "client_summary", kind="metric")
        made["network.type"] = "ipv4" if len(client) == 4 else "ipv6"
        made["source.ip"] = addresses.text(client)
        if server:
            made["destination.ip"] = addresses.text(server)
        if domain:
            made["dns.question.registered_domain"] = domain
            if self._config.names is Names.FULL:
                made["dns.question.name"] = held.longest
        made["tengwang.dns.queries"], made["tengwang.dns.names"] = held.queries, len(held.names)
        made["tengwang.dns.nxdomain"], made["tengwang.dns.servfail"] = held.refused, held.failed
        made["tengwang.dns.label_length"] = round(held.label_length(), 1)
        made["tengwang.dns.entropy"] = round(held.entropy(), 2)
        made["tengwang.dns.bytes"] = held.bytes
        if held.answered:
            made["tengwang.dns.latency"] = round(held.latency / held.answered * 1000, 2)
        made["event.start"], made["event.end"] = held.first_ms, held.last_ms
        self._context.emit(made)
