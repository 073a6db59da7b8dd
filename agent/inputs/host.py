"""This host itself: interfaces, addresses, routes, neighbours, counters by netlink; load, memory, system by /proc.

Every round tells the host and each interface. An address, a route or a neighbour is told when it is new, changed or
gone (``event.type``), and all of them again every ``again`` seconds. Tables are cut at a bound, and what was cut is
counted, so that a router with a full routing table costs no more than any other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Hashable, Iterator
from typing import Annotated, TypeVar

import msgspec

from agent import netlink
from agent.changes import Change, ChangeTable
from agent.decoders import hosts, procfs, rtnetlink
from agent.input import Context
from telemetry.errors import Permanent
from telemetry.event import Event, Value, event

DATASET = "tengwang.host"
Row = TypeVar("Row")
V4, V6 = 2, 10


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    interval: Annotated[float, msgspec.Meta(description="Seconds between two rounds", ge=1, le=3600)] = 15.0
    again: Annotated[
        float,
        msgspec.Meta(description="Seconds until unchanged addresses, routes, neighbours are told again", ge=10),
    ] = 600.0
    max_interfaces: Annotated[int, msgspec.Meta(description="Interfaces told in a round", ge=1, le=100_000)] = 1000
    max_rows: Annotated[
        int, msgspec.Meta(description="Addresses, routes, neighbours looked at in a round, each", ge=1, le=1_000_000)
    ] = 10_000


def build(config: Config, context: Context) -> HostInput:
    return HostInput(config, context)


class HostInput:
    """Emits ``tengwang.host`` events: host, interface, address, route, neighbor."""

    def __init__(self, config: Config, context: Context) -> None:
        self.interval = config.interval
        self._config = config
        self._context = context
        self._addresses: ChangeTable[Event] = ChangeTable(config.again)
        self._routes: ChangeTable[Event] = ChangeTable(config.again)
        self._neighbors: ChangeTable[Event] = ChangeTable(config.again)
        self._processor: procfs.Processor | None = None

    async def collect(self) -> None:
        """One round, in a thread: a large table must not hold up the other inputs."""
        await asyncio.to_thread(self._round)

    def close(self) -> None:
        """Nothing is held between rounds."""

    def _round(self) -> None:
        now_ms, now = self._context.clock.now_ms(), self._context.clock.monotonic()
        name = self._read("proc/sys/kernel/hostname").strip() or os.uname().nodename
        links, _ = self._dump(rtnetlink.GET_LINK, (0,), self._one(rtnetlink.link), self._config.max_interfaces)
        addresses, whole = self._dump(rtnetlink.GET_ADDRESS, (V4, V6), self._one(rtnetlink.address))
        self._emit(now_ms, name, "host", self._host(links, addresses))
        for link in links:
            self._emit(now_ms, name, "interface", hosts.interface(link, self._speed(link.name)))
        by_index = {link.index: link for link in links}

        rows: dict[Hashable, tuple[Hashable, Event]] = {}
        for address in addresses:
            fields = hosts.address(address, by_index.get(address.index))
            rows[(address.index, address.ip, address.prefix_length)] = (hosts.signature(fields), fields)
        self._tell(now_ms, name, "address", self._addresses.compare(rows, now, whole))

        hops, whole = self._dump(rtnetlink.GET_ROUTE, (V4, V6), self._main_table)
        rows = {}
        for hop in hops:
            fields = hosts.route(hop, by_index.get(hop.index))
            rows[(hop.prefix, hop.metric, hop.next_hop, hop.index)] = (hosts.signature(fields), fields)
        self._tell(now_ms, name, "route", self._routes.compare(rows, now, whole))

        found, whole = self._dump(rtnetlink.GET_NEIGHBOR, (V4, V6), self._known_neighbor)
        rows = {}
        for neighbor in found:
            fields = hosts.neighbor(neighbor, by_index.get(neighbor.index))
            rows[(neighbor.index, neighbor.ip)] = (hosts.neighbor_signature(neighbor), fields)
        self._tell(now_ms, name, "neighbor", self._neighbors.compare(rows, now, whole))

    def _dump(
        self, kind: int, families: tuple[int, ...], decode: Callable[[bytes], list[Row]], most: int = 0
    ) -> tuple[list[Row], bool]:
        """At most ``most`` rows, and whether that is all. The rest is walked over undecoded, and counted."""
        most = most or self._config.max_rows
        rows: list[Row] = []
        left = 0
        for family in families:
            for message in netlink.dump(kind, family):
                if len(rows) >= most:
                    left += 1
                    continue
                try:
                    rows += decode(message.body)
                except Permanent as error:
                    self._context.report.count("tengwang_input_refused_total", input="host", reason=error.reason)
        if left:
            self._context.report.count("tengwang_input_cut_total", left, input="host")
            self._context.report.warn("host.cut", f"a table has {left} rows more than the {most} that are looked at")
        return rows, not left

    @staticmethod
    def _one(decode: Callable[[bytes], Row]) -> Callable[[bytes], list[Row]]:
        return lambda body: [decode(body)]

    @staticmethod
    def _main_table(body: bytes) -> list[rtnetlink.Route]:
        return [route for route in rtnetlink.routes(body) if route.table == rtnetlink.TABLE_MAIN]

    @staticmethod
    def _known_neighbor(body: bytes) -> list[rtnetlink.Neighbor]:
        neighbor = rtnetlink.neighbor(body)
        return [neighbor] if neighbor.state and not neighbor.state & hosts.NUD_NOARP else []

    def _host(self, links: list[rtnetlink.Link], addresses: list[rtnetlink.Address]) -> Event:
        fields = hosts.host(links, addresses)
        system = os.uname()
        fields["host.architecture"] = system.machine
        fields["host.os.kernel"] = self._read("proc/sys/kernel/osrelease").strip() or system.release
        memory = procfs.memory(self._read("proc/meminfo"))
        found: dict[str, Value | None] = {
            "host.os.full": procfs.os_release(self._read("etc/os-release") or self._read("usr/lib/os-release")) or None,
            "host.uptime": procfs.uptime(self._read("proc/uptime")),
            "tengwang.host.load1": procfs.load(self._read("proc/loadavg")),
            "tengwang.host.memory.total": memory.get("MemTotal"),
            "tengwang.host.memory.available": memory.get("MemAvailable"),
            "host.cpu.usage": self._usage(),
        }
        fields.update({name: value for name, value in found.items() if value is not None})
        return fields

    def _usage(self) -> float | None:
        """Share of all cores since the round before; nothing in the first."""
        before, self._processor = self._processor, procfs.processor(self._read("proc/stat"))
        if before is None or self._processor is None or self._processor.total <= before.total:
            return None
        busy = (self._processor.busy - before.busy) / (self._processor.total - before.total)
        return round(min(max(busy, 0.0), 1.0), 4)

    def _speed(self, name: str) -> int:
        """Bits a second; 0 where the driver does not say."""
        text = self._read(f"sys/class/net/{name}/speed").strip()
        return int(text) * 1_000_000 if text.isdecimal() and text.isascii() else 0

    def _read(self, path: str) -> str:
        try:
            return (self._context.root / path).read_text(errors="replace")
        except OSError:
            return ""

    def _tell(self, now_ms: int, name: str, action: str, told: Iterator[tuple[Change, Event]]) -> None:
        for change, fields in told:
            self._emit(now_ms, name, action, {**fields, "event.type": change.value}, "state")

    def _emit(self, now_ms: int, name: str, action: str, fields: Event, kind: str = "metric") -> None:
        made = event(now_ms, DATASET, action, kind)
        made["host.name"] = name
        made.update(fields)
        self._context.emit(made)
