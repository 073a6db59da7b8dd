"""Packet headers to flow records, in a table of bounded size. Pure: time comes with the packets.

One flow is one direction of one conversation: VLAN, addresses, protocol, ports. It is exported when nothing came for
``inactive_s`` or when it has lasted ``active_s``, then counted on from zero, so the counts of all its records add up.
Eviction: none. When the table is full, a packet of a flow that is not in it is counted in a rest record of its IP
version and protocol, without addresses, exported every ``active_s`` like any other. Totals stay exact under a flood of
new flows, and the flows that were there before it stay visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from agent.decoders import addresses
from agent.decoders.packet import ICMP, ICMPV6, Header
from telemetry.event import Event, event

DATASET = "tengwang.flow"
TRANSPORTS = {1: "icmp", 2: "igmp", 4: "ipv4", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 46: "rsvp", 47: "gre",
              50: "esp", 51: "ah", 58: "ipv6-icmp", 89: "ospf", 103: "pim", 112: "vrrp", 115: "l2tp", 132: "sctp",
              136: "udplite"}  # fmt: skip
Key = tuple[int, int, bytes, bytes, int, int, int]
Joined = tuple[int, int]
"""Packets on the wire that one seen packet stands for, and the bytes of the headers it does not show."""
ALONE: Joined = (1, 0)
SECOND = 1_000_000_000


class Flow:
    """Counts of one flow. Not a frozen struct: it is added to for every packet."""

    __slots__ = ("bytes", "direction", "dscp", "first_ns", "interface", "label", "last_ns", "packets", "tcp_flags")

    def __init__(self, at_ns: int, header: Header, interface: str, direction: str) -> None:
        self.first_ns = self.last_ns = at_ns
        self.packets = self.bytes = self.tcp_flags = 0
        self.dscp, self.label = header.dscp, header.label
        self.interface, self.direction = interface, direction


class Export(msgspec.Struct, frozen=True):
    """One finished flow record; ``rest`` says that it stands for flows the table had no room for."""

    key: Key
    flow: Flow
    rest: bool = False


class FlowTable:
    """``add`` for every packet, ``expire`` from time to time, ``flush`` at the end."""

    def __init__(self, most: int, active_s: float, inactive_s: float) -> None:
        self._most = most
        self._active, self._inactive = int(active_s * SECOND), int(inactive_s * SECOND)
        self._flows: dict[Key, Flow] = {}
        self._rest: dict[Key, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows) + len(self._rest)

    def add(
        self, header: Header, at_ns: int, interface: str, direction: Callable[[Header], str], joined: Joined = ALONE
    ) -> bool:
        """Count one packet; false where it went into a rest record. ``direction`` is asked once a flow."""
        key = (
            header.vlan, header.version, header.source, header.destination,
            header.protocol, header.source_port, header.destination_port,
        )  # fmt: skip
        flow = self._flows.get(key)
        known = True
        if flow is None:
            if len(self._flows) < self._most:
                flow = self._flows[key] = Flow(at_ns, header, interface, direction(header))
            else:
                known = False
                key = (0, header.version, b"", b"", header.protocol, 0, 0)
                flow = self._rest.get(key)
                if flow is None:
                    flow = self._rest[key] = Flow(at_ns, header, "", "unknown")
                    flow.dscp = flow.label = 0
        if at_ns > flow.last_ns:
            flow.last_ns = at_ns
        flow.packets += joined[0]
        flow.bytes += header.size + joined[1]
        flow.tcp_flags |= header.tcp_flags
        return known

    def expire(self, now_ns: int) -> Iterator[Export]:
        """Take out and give what is over at ``now_ns``."""
        active, inactive, ahead = now_ns - self._active, now_ns - self._inactive, now_ns + self._inactive
        for table, rest in ((self._flows, False), (self._rest, True)):
            over = [
                key
                for key, flow in table.items()
                # ahead of now: the clock was set back, and this flow would never be over
                if flow.last_ns <= inactive or flow.first_ns <= active or flow.first_ns > ahead
            ]
            for key in over:
                yield Export(key, table.pop(key), rest)

    def flush(self) -> Iterator[Export]:
        """Take out and give everything."""
        for table, rest in ((self._flows, False), (self._rest, True)):
            while table:
                key = next(iter(table))
                yield Export(key, table.pop(key), rest)


def to_event(export: Export, rate: int) -> Event:
    """The event of one record; ``rate`` packets on the wire for each that was taken."""
    (vlan, version, source, destination, protocol, source_port, destination_port), flow = export.key, export.flow
    made = event(flow.last_ns // 1_000_000, DATASET, "flow")
    made["event.start"] = flow.first_ns // 1_000_000
    made["event.end"] = flow.last_ns // 1_000_000
    made["event.duration"] = flow.last_ns - flow.first_ns
    made["network.type"] = f"ipv{version}"
    made["network.iana_number"] = str(protocol)
    made["network.direction"] = flow.direction
    made["network.bytes"] = flow.bytes * rate
    made["network.packets"] = flow.packets * rate
    made["tengwang.flow.raw_bytes"] = flow.bytes
    made["tengwang.flow.raw_packets"] = flow.packets
    made["tengwang.flow.sampling_rate"] = rate
    if protocol in TRANSPORTS:
        made["network.transport"] = TRANSPORTS[protocol]
    if export.rest:
        made["event.reason"] = "table_full"
        return made
    made["source.ip"] = addresses.text(source)
    made["destination.ip"] = addresses.text(destination)
    made["tengwang.flow.dscp"] = flow.dscp
    if protocol in (ICMP, ICMPV6):
        made["tengwang.flow.icmp_type"], made["tengwang.flow.icmp_code"] = divmod(destination_port, 256)
    elif source_port or destination_port:
        made["source.port"], made["destination.port"] = source_port, destination_port
    if flow.tcp_flags:
        made["tengwang.flow.tcp_flags"] = flow.tcp_flags
    if version == 6:
        made["tengwang.flow.label"] = flow.label
    if vlan:
        made["network.vlan.id"] = str(vlan)
    if flow.interface:
        made["tengwang.interface.name"] = flow.interface
    return made
