from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import exported_flows
from agent.decoders.exported_flows import Source
from agent.decoders.flow_exports import Head
from agent.decoders.flow_templates import BYTES, ELEMENTS, REVERSE
from telemetry.errors import Permanent
from telemetry.validate import validate

V9 = Head(9, 7, 0, 1_700_000_000_000, 60_000)
IPFIX = Head(10, 7, 0, 1_700_000_000_000, -1)
BY = Source("2001:db8::1", "r1", "ipfix", 7)
Mixed = dict[str, int | bytes]
SIX: Mixed = {
    "source6": bytes(15) + b"\1",
    "destination6": bytes(15) + b"\2",
    "bytes": 100,
    "packets": 2,
    "protocol": 6,
}
NUMBERS = sorted({name for name, _ in ELEMENTS.values()} - BYTES | set(REVERSE.values()))


@given(
    st.dictionaries(st.sampled_from(NUMBERS), st.integers(0, 2**128 - 1) | st.integers(0, 300)),
    st.dictionaries(st.sampled_from(sorted(BYTES)), st.binary(max_size=20)),
    st.sampled_from([V9, IPFIX]),
    st.integers(1, 2**32),
    st.integers(-(2**45), 2**45),
)
def test_any_record_gives_valid_events_or_permanent(
    numbers: dict[str, int], raw: dict[str, bytes], head: Head, rate: int, shift: int
) -> None:
    source = Source("192.0.2.1", "", "netflow9", 2**32 - 1, rate, "options", shift)
    records: tuple[Mixed, ...] = ({**numbers, **raw}, {**SIX, **numbers})
    for record in records:
        with contextlib.suppress(Permanent):
            for made in exported_flows.events(record, head, source, numbers.get("boot_ms", -1)):
                validate(made)


def test_a_record_of_one_direction() -> None:
    record: Mixed = {**SIX, "source_port": 443, "destination_port": 5000, "flags": 0x1B, "tos": 0xB8, "label": 77,
              "ingress": 3, "egress": 4, "start_uptime": 50_000, "end_uptime": 58_000, "vlan": 12,
              "direction": 1}  # fmt: skip
    source = Source("2001:db8::1", "r1", "netflow9", 7, 10, "sampler")
    (made,) = exported_flows.events(record, V9, source)
    assert validate(made) == {
        "@timestamp": 1_699_999_998_000, "event.dataset": "tengwang.flow", "event.action": "flow",
        "event.kind": "event", "event.start": 1_699_999_990_000, "event.end": 1_699_999_998_000,
        "event.duration": 8_000_000_000, "network.type": "ipv6", "network.iana_number": "6",
        "network.direction": "egress", "network.transport": "tcp", "network.bytes": 1000, "network.packets": 20,
        "tengwang.flow.raw_bytes": 100, "tengwang.flow.raw_packets": 2, "tengwang.flow.sampling_rate": 10,
        "tengwang.flow.sampling_source": "sampler", "source.ip": "::1", "destination.ip": "::2",
        "tengwang.flow.dscp": 46, "source.port": 443, "destination.port": 5000, "tengwang.flow.tcp_flags": 27,
        "tengwang.flow.label": 77, "network.vlan.id": "12", "observer.ip": "2001:db8::1",
        "tengwang.exporter.protocol": "netflow9", "tengwang.exporter.domain": 7, "tengwang.exporter.device": "r1",
        "tengwang.flow.ingress": 3, "tengwang.flow.egress": 4,
    }  # fmt: skip


def test_a_record_of_both_directions_is_two_events() -> None:
    record: Mixed = {**SIX, "source_port": 1, "destination_port": 2, "reverse_bytes": 900, "reverse_packets": 3,
              "ingress": 5, "egress": 6}  # fmt: skip
    there, back = exported_flows.events(record, IPFIX, BY)
    assert (there["network.bytes"], back["network.bytes"]) == (100, 900)
    assert (back["source.ip"], back["source.port"], back["destination.port"]) == ("::2", 2, 1)
    assert (back["tengwang.flow.ingress"], back["tengwang.flow.egress"]) == (6, 5)


@pytest.mark.parametrize(
    ("record", "head", "boot", "wanted"),
    [
        ({"start_ms": 1000, "end_ms": 3000}, IPFIX, -1, (1000, 3000)),
        ({"start_s": 1, "end_s": 3}, IPFIX, -1, (1000, 3000)),
        ({"start_uptime": 1000, "end_uptime": 3000}, IPFIX, 5000, (6000, 8000)),
        ({"start_uptime": 1000, "end_uptime": 3000}, IPFIX, -1, (1_700_000_000_000, 1_700_000_000_000)),
        ({"start_uptime": 2**32 - 40_000, "end_uptime": 60_500}, V9, -1, (1_699_999_900_000, 1_700_000_000_500)),
        ({"start_ago_us": 5_000_000, "end_ago_us": 0}, IPFIX, -1, (1_699_999_995_000, 1_700_000_000_000)),
        ({"start_ntp": (2_208_988_800 + 10) << 32 | 1 << 31, "duration_ms": 500}, IPFIX, -1, (10_500, 11_000)),
    ],
)
def test_times_in_every_way_that_they_are_told(
    record: dict[str, int | bytes], head: Head, boot: int, wanted: tuple[int, int]
) -> None:
    assert exported_flows.times(record, head, boot) == wanted


def test_type_and_code_of_icmp_stand_where_the_exporter_puts_them() -> None:
    for extra in ({"icmp": 0x8000}, {"icmp_type": 128, "icmp_code": 0}, {"destination_port": 0x8000}):
        (made,) = exported_flows.events({**SIX, "protocol": 58, **extra}, IPFIX, BY)
        assert (made["tengwang.flow.icmp_type"], made["tengwang.flow.icmp_code"]) == (128, 0)
        assert "destination.port" not in made


def test_a_record_without_addresses_is_no_flow() -> None:
    with pytest.raises(Permanent, match="no_addresses"):
        list(exported_flows.events({"bytes": 1}, IPFIX, BY))
    both = {**SIX, "source6": bytes(16), "destination6": bytes(16), "source4": b"\1\2\3\4", "destination4": b"\1\2\3\5"}
    (made,) = exported_flows.events(both, IPFIX, BY)
    assert made["source.ip"] == "1.2.3.4"
