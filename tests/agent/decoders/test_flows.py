from __future__ import annotations

import random

from agent.decoders import flows, packet
from telemetry.validate import validate


def header(**changes: object) -> packet.Header:
    values: dict[str, object] = {
        "version": 6, "source": bytes(15) + b"\1", "destination": bytes(15) + b"\2", "protocol": 6, "source_port": 1000,
        "destination_port": 443, "vlan": 0, "size": 100, "tcp_flags": 2, "dscp": 46, "label": 7,
    }  # fmt: skip
    return packet.Header(**{**values, **changes})  # type: ignore[arg-type]


def outward(_: packet.Header) -> str:
    return "egress"


def seconds(number: float) -> int:
    return int(number * flows.SECOND)


def test_a_flow_is_told_when_it_is_silent_and_a_lasting_one_in_between() -> None:
    table = flows.FlowTable(100, active_s=60, inactive_s=15)
    for at in range(0, 60, 10):
        table.add(header(), seconds(at), "eth0", outward)
        assert not list(table.expire(seconds(at)))
    (lasting,) = table.expire(seconds(60))
    assert (lasting.flow.packets, lasting.flow.bytes, lasting.flow.first_ns, lasting.flow.last_ns) == (
        6, 600, 0, seconds(50),
    )  # fmt: skip
    table.add(header(), seconds(61), "eth0", outward)
    assert not list(table.expire(seconds(75.9)))
    (silent,) = table.expire(seconds(76))
    assert silent.flow.packets == 1
    assert not len(table)


def test_a_record_as_an_event() -> None:
    table = flows.FlowTable(100, 60, 15)
    table.add(header(vlan=30), 1_790_000_000_000_000_001, "eth0", outward)
    table.add(header(vlan=30, tcp_flags=16, dscp=0, label=9, size=50), 1_790_000_002_500_000_000, "eth1", outward)
    (export,) = table.flush()
    made = flows.to_event(export, 10)
    validate(made)
    assert made == {
        "@timestamp": 1_790_000_002_500,
        "event.dataset": "tengwang.flow",
        "event.action": "flow",
        "event.kind": "event",
        "event.start": 1_790_000_000_000,
        "event.end": 1_790_000_002_500,
        "event.duration": 2_499_999_999,
        "network.type": "ipv6",
        "network.transport": "tcp",
        "network.iana_number": "6",
        "network.direction": "egress",
        "network.vlan.id": "30",
        "network.bytes": 1500,
        "network.packets": 20,
        "tengwang.flow.raw_bytes": 150,
        "tengwang.flow.raw_packets": 2,
        "tengwang.flow.sampling_rate": 10,
        "tengwang.flow.tcp_flags": 18,
        "tengwang.flow.dscp": 46,
        "tengwang.flow.label": 7,
        "tengwang.interface.name": "eth0",
        "source.ip": "::1",
        "source.port": 1000,
        "destination.ip": "::2",
        "destination.port": 443,
    }


def test_each_part_of_the_key_makes_another_flow() -> None:
    changes: list[dict[str, object]] = [
        {"version": 4, "source": bytes(4), "destination": bytes(4)},
        {"source": bytes(15) + b"\3"},
        {"destination": bytes(15) + b"\3"},
        {"protocol": 17},
        {"source_port": 1},
        {"destination_port": 1},
        {"vlan": 5},
    ]
    table = flows.FlowTable(100, 60, 15)
    for change in ({}, *changes, *changes):
        table.add(header(**change), 0, "", outward)
    assert len(table) == len(changes) + 1


def test_a_full_table_keeps_its_flows_and_no_packet_is_uncounted() -> None:
    table = flows.FlowTable(16, 60, 15)
    choose = random.Random(5)
    sent = []
    for number in range(5000):
        one = header(
            source_port=choose.randrange(500), protocol=choose.choice((6, 17)), size=choose.randrange(40, 1500)
        )
        sent.append(one.size)
        table.add(one, number, "eth0", outward)
    assert len(table) == 16 + 2
    exports = list(table.flush())
    assert sum(export.flow.packets for export in exports) == 5000
    assert sum(export.flow.bytes for export in exports) == sum(sent)
    rest = [flows.to_event(export, 1) for export in exports if export.rest]
    assert {made["network.transport"] for made in rest} == {"tcp", "udp"}
    for made in rest:
        validate(made)
        assert made["event.reason"] == "table_full"
        assert "source.ip" not in made


def test_the_rest_record_is_told_and_room_comes_back() -> None:
    table = flows.FlowTable(16, 60, 15)
    for port in range(17):
        assert table.add(header(source_port=port), 0, "", outward) == (port < 16)
    assert len(list(table.expire(seconds(15)))) == 17
    assert table.add(header(source_port=99), seconds(16), "", outward)


def test_a_clock_set_back_does_not_keep_flows_for_ever() -> None:
    table = flows.FlowTable(16, 60, 15)
    table.add(header(), seconds(1_000_000), "", outward)
    assert len(list(table.expire(seconds(10)))) == 1


def test_an_icmp_flow_has_type_and_code_instead_of_ports() -> None:
    table = flows.FlowTable(16, 60, 15)
    table.add(header(protocol=58, source_port=0, destination_port=1 << 8 | 4), 0, "", outward)
    (export,) = table.flush()
    made = flows.to_event(export, 1)
    assert (made["tengwang.flow.icmp_type"], made["tengwang.flow.icmp_code"]) == (1, 4)
    assert "destination.port" not in made
