"""A record of an exporter to a ``tengwang.flow`` event, of the shape that this host's own packets give. Pure.

What an exporter calls the sampling rate of a record is given by the caller; raw and scaled counters stay apart. A
record of both directions (RFC 5103, or initiator and responder) is two events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from agent.decoders import addresses
from agent.decoders.flow_exports import Head
from agent.decoders.flow_templates import Record, Value
from agent.decoders.flows import DATASET, TRANSPORTS
from agent.decoders.packet import ICMP, ICMPV6
from telemetry.errors import Permanent
from telemetry.event import Event, event

LONG_MAX = 2**63 - 1
DATE_MAX = 253_402_300_799_999
NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970."""
WRAP = 1 << 32
DIRECTIONS = {0: "ingress", 1: "egress"}


class Source(msgspec.Struct, frozen=True):
    """Who exported it: address, inventory id of the device (may be empty), protocol, domain, and how it sampled."""

    address: str
    device: str
    protocol: str
    domain: int
    rate: int = 1
    rate_source: str = "assumed"
    shift_ms: int = 0
    """To be added to the exporter's times: its clock is wrong by so much."""


def times(record: Record, head: Head, boot_ms: int) -> tuple[int, int]:
    """First and last packet in milliseconds by the exporter's clock; the time of export where the record has none."""
    start, end = _time(record, "start", head, boot_ms), _time(record, "end", head, boot_ms)
    duration = number(record, "duration_ms")
    if end < 0:
        end = start + duration if start >= 0 and duration >= 0 else head.export_ms
    if start < 0:
        start = end - max(duration, 0)
    return max(0, min(start, DATE_MAX)), max(0, min(end, DATE_MAX))


def _time(record: Record, which: str, head: Head, boot_ms: int) -> int:
    if (value := number(record, f"{which}_ms")) >= 0:
        return value
    if (value := number(record, f"{which}_uptime")) >= 0:
        if head.uptime_ms >= 0:
            ago = (head.uptime_ms - value) % WRAP
            # a flow can end a moment after the header was made: half of the circle is ahead
            return head.export_ms - (ago if ago < WRAP // 2 else ago - WRAP)
        return boot_ms + value if boot_ms >= 0 else -1
    if (value := number(record, f"{which}_s")) >= 0:
        return value * 1000
    if (value := number(record, f"{which}_ntp")) >= 0:
        return ((value >> 32) - NTP_EPOCH_S) * 1000 + ((value & 0xFFFFFFFF) * 1000 >> 32)
    if (value := number(record, f"{which}_ago_us")) >= 0:
        return head.export_ms - value // 1000
    return -1


def events(record: Record, head: Head, source: Source, boot_ms: int = -1) -> Iterator[Event]:
    """One event, or two of a record of both directions. Raises Permanent where it is no flow of IP."""
    family, start, end = _addresses(record)
    first, last = times(record, head, boot_ms)
    first, last = first + source.shift_ms, last + source.shift_ms
    yield _event(record, family, start, end, (first, last), source)
    packets = number(record, "reverse_packets")
    octets = number(record, "reverse_bytes")
    if packets > 0 or octets > 0:
        back: dict[str, Value] = {
            **record, "bytes": max(octets, 0), "packets": max(packets, 0), "flags": record.get("reverse_flags", 0),
            "source_port": record.get("destination_port", 0), "destination_port": record.get("source_port", 0),
            "ingress": record.get("egress", 0), "egress": record.get("ingress", 0),
        }  # fmt: skip
        yield _event(back, family, end, start, (first, last), source)


def _addresses(record: Mapping[str, Value]) -> tuple[int, bytes, bytes]:
    for family, size in ((6, 16), (4, 4)):
        start, end = record.get(f"source{family}"), record.get(f"destination{family}")
        if not (isinstance(start, bytes) and isinstance(end, bytes) and len(start) == len(end) == size):
            continue
        # a template for both families leaves the other one's addresses zero
        if any(start) or any(end) or f"source{10 - family}" not in record:
            return family, start, end
    raise Permanent("no_addresses", ", ".join(sorted(record))[:200])


def _event(
    record: Mapping[str, Value], family: int, start: bytes, end: bytes, when: tuple[int, int], source: Source
) -> Event:
    first, last = (max(0, min(at, DATE_MAX)) for at in when)
    first = min(first, last)
    made = event(last, DATASET, "flow")
    made["event.start"], made["event.end"], made["event.duration"] = first, last, (last - first) * 1_000_000
    protocol = number(record, "protocol", 0) & 0xFF
    made["network.type"], made["network.iana_number"] = f"ipv{family}", str(protocol)
    made["network.direction"] = DIRECTIONS.get(number(record, "direction"), "unknown")
    if protocol in TRANSPORTS:
        made["network.transport"] = TRANSPORTS[protocol]
    octets = record["bytes"] if "bytes" in record else record.get("total_bytes", record.get("post_bytes", 0))
    packets = record["packets"] if "packets" in record else record.get("total_packets", record.get("post_packets", 0))
    scale(made, _whole(octets), _whole(packets), source)
    made["source.ip"], made["destination.ip"] = addresses.text(start), addresses.text(end)
    made["tengwang.flow.dscp"] = number(record, "dscp", number(record, "tos", 0) >> 2) & 0x3F
    _ports(record, protocol, made)
    if flags := number(record, "flags", 0) & 0xFFFF:
        made["tengwang.flow.tcp_flags"] = flags
    if family == 6:
        made["tengwang.flow.label"] = number(record, "label", 0) & 0xFFFFF
    if vlan := number(record, "vlan", 0) & 0xFFF:
        made["network.vlan.id"] = str(vlan)
    for field, name in (("source.mac", "source_mac"), ("destination.mac", "destination_mac")):
        mac = record.get(name)
        if isinstance(mac, bytes) and len(mac) == 6 and any(mac):
            made[field] = addresses.mac(mac)
    place(made, source, number(record, "ingress"), number(record, "egress"))
    return made


def _ports(record: Mapping[str, Value], protocol: int, made: Event) -> None:
    start, end = number(record, "source_port", 0) & 0xFFFF, number(record, "destination_port", 0) & 0xFFFF
    if protocol in (ICMP, ICMPV6):
        both = number(record, "icmp", end) & 0xFFFF
        kind, code = number(record, "icmp_type", both >> 8), number(record, "icmp_code", both & 0xFF)
        made["tengwang.flow.icmp_type"], made["tengwang.flow.icmp_code"] = kind & 0xFF, code & 0xFF
    elif start or end:
        made["source.port"], made["destination.port"] = start, end


def scale(made: Event, octets: int, packets: int, source: Source) -> None:
    """Raw and scaled counters, and where the rate is from."""
    made["network.bytes"] = min(octets * source.rate, LONG_MAX)
    made["network.packets"] = min(packets * source.rate, LONG_MAX)
    made["tengwang.flow.raw_bytes"], made["tengwang.flow.raw_packets"] = min(octets, LONG_MAX), min(packets, LONG_MAX)
    made["tengwang.flow.sampling_rate"], made["tengwang.flow.sampling_source"] = source.rate, source.rate_source


def place(made: Event, source: Source, ingress: int, egress: int) -> None:
    """The exporter's fields; an interface below 0 is not told. The unit of a flow is not that of its exporter."""
    made["observer.ip"] = source.address
    made["tengwang.exporter.protocol"], made["tengwang.exporter.domain"] = source.protocol, source.domain
    if source.device:
        made["tengwang.exporter.device"] = source.device
    if ingress >= 0:
        made["tengwang.flow.ingress"] = min(ingress, LONG_MAX)
    if egress >= 0:
        made["tengwang.flow.egress"] = min(egress, LONG_MAX)


def number(record: Mapping[str, Value], name: str, otherwise: int = -1) -> int:
    value = record.get(name)
    return value if isinstance(value, int) else otherwise


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else 0
