from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import flow_exports
from agent.decoders.flow_templates import Templates
from telemetry.errors import Permanent


def block(number: int, body: bytes) -> bytes:
    return struct.pack(">HH", number, len(body) + 4) + body


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 7, seconds: int = 1_700_000_000) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), seconds, sequence, domain) + body


def v9(*sets: bytes, sequence: int = 0, uptime: int = 60_000, seconds: int = 1_700_000_000, source: int = 7) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), uptime, seconds, sequence, source) + b"".join(sets)


def template(number: int, *fields: tuple[int, ...]) -> bytes:
    body = struct.pack(">HH", number, len(fields))
    for element, length, *enterprise in fields:
        body += struct.pack(">HH", element | (0x8000 if enterprise else 0), length)
        body += b"".join(struct.pack(">I", one) for one in enterprise)
    return body


SIMPLE = template(256, (8, 4), (12, 4), (1, 4), (2, 4))
RECORD = b"\xc0\0\2\1\xc0\0\2\2" + struct.pack(">II", 1500, 3)
READ = {"source4": b"\xc0\0\2\1", "destination4": b"\xc0\0\2\2", "bytes": 1500, "packets": 3}
WHOLE = [
    ipfix(block(2, SIMPLE), block(256, RECORD * 2)),
    ipfix(block(3, struct.pack(">HHH", 300, 2, 1) + struct.pack(">HHHH", 302, 4, 305, 4)), block(300, bytes(8))),
    v9(block(0, SIMPLE), block(256, RECORD)),
    v9(block(1, struct.pack(">HHHHHHH", 300, 4, 4, 1, 4, 34, 4)), block(300, bytes(4) + b"\0\0\3\xe8")),
    flow_exports.HEADER5.pack(5, 1, 1000, 1, 0, 9, 0, 1, 0) + bytes(48),
]


@given(st.binary(max_size=300), st.sampled_from([b"", b"\0\5", b"\0\x09", b"\0\x0a"]))
def test_any_bytes_give_a_datagram_or_permanent(data: bytes, start: bytes) -> None:
    with contextlib.suppress(Permanent):
        flow_exports.decode(start + data, Templates(), withdrawable=bool(len(data) % 2))


@given(st.sampled_from(WHOLE), st.data())
def test_a_changed_datagram_gives_a_datagram_or_permanent(whole: bytes, data: st.DataObject) -> None:
    templates = Templates()
    for _ in range(2):  # the second meets templates that the first has changed
        changed = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 6))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(Permanent):
            flow_exports.decode(bytes(changed), templates)


@given(st.binary(max_size=200))
def test_any_stream_gives_messages_or_permanent(data: bytes) -> None:
    buffer = bytearray(data)
    with contextlib.suppress(Permanent):
        for message in flow_exports.messages(buffer):
            assert len(message) >= 16


@pytest.mark.parametrize("whole", [WHOLE[0], WHOLE[2]])
def test_a_template_and_its_records(whole: bytes) -> None:
    made = flow_exports.decode(whole, Templates())
    assert made.records[0] == READ
    assert made.malformed == []
    assert made.waiting == []
    assert made.head.domain == 7


def test_sequence_units_are_records_in_ipfix_and_datagrams_in_version_9() -> None:
    assert flow_exports.decode(WHOLE[0], Templates()).units == 2
    assert flow_exports.decode(WHOLE[1], Templates()).units == 1
    assert flow_exports.decode(WHOLE[2], Templates()).units == 1
    assert flow_exports.decode(ipfix(block(256, RECORD)), Templates()).units == -1


def test_data_before_its_template_is_given_back_and_can_be_read_later() -> None:
    templates = Templates()
    early = flow_exports.decode(ipfix(block(256, RECORD)), templates)
    assert early.records == []
    assert [held.number for held in early.waiting] == [256]
    flow_exports.decode(ipfix(block(2, SIMPLE)), templates)
    known = templates.get(256)
    assert known is not None
    flow_exports.read_set(early.waiting[0].data, known, early)
    assert early.records == [READ]


def test_a_template_that_changes_is_the_new_one_from_then_on() -> None:
    templates = Templates()
    flow_exports.decode(WHOLE[0], templates)
    changed = template(256, (2, 4), (1, 4))
    made = flow_exports.decode(ipfix(block(2, changed), block(256, struct.pack(">II", 5, 60))), templates)
    assert made.records == [{"packets": 5, "bytes": 60}]


def test_withdrawal_counts_over_tcp_and_is_refused_over_udp() -> None:
    templates = Templates()
    flow_exports.decode(WHOLE[0], templates)
    withdrawal = ipfix(block(2, struct.pack(">HH", 256, 0)))
    assert flow_exports.decode(withdrawal, templates).malformed == ["withdrawal_over_udp"]
    assert templates.get(256) is not None
    assert flow_exports.decode(withdrawal, templates, withdrawable=True).malformed == []
    assert templates.get(256) is None
    flow_exports.decode(WHOLE[0], templates)
    flow_exports.decode(ipfix(block(2, struct.pack(">HH", 2, 0))), templates, withdrawable=True)
    assert len(templates) == 0


def test_elements_of_an_enterprise_are_stepped_over_and_those_of_the_reverse_direction_read() -> None:
    fields = template(256, (8, 4), (12, 4), (1, 4), (1, 4, 29305), (2, 4, 29305), (7, 2, 4711), (82, 0xFFFF, 4711))
    record = RECORD[:12] + struct.pack(">IIH", 77, 8, 9) + b"\x03abc"
    made = flow_exports.decode(ipfix(block(2, fields), block(256, record)), Templates())
    wanted = {"source4": READ["source4"], "destination4": READ["destination4"], "bytes": 1500}
    assert made.records == [wanted | {"reverse_bytes": 77, "reverse_packets": 8}]


def test_options_of_both_versions_are_no_flows() -> None:
    assert flow_exports.decode(WHOLE[3], Templates()).options == [{"interval": 1000}]
    assert flow_exports.decode(WHOLE[1], Templates()).options == [{"sampler": 0, "packet_interval": 0}]


def test_version_5_has_its_own_layout() -> None:
    row = flow_exports.RECORD5.pack(
        b"\xc0\0\2\1", b"\xc0\0\2\2", bytes(4), 3, 4, 10, 1000, 500, 900, 53, 5353, 0x12, 17, 0xB8, 1, 2, 24, 24
    )
    head = flow_exports.HEADER5.pack(5, 2, 1000, 1_700_000_000, 500_000_000, 9, 1, 2, 0x4064)
    made = flow_exports.decode(head + row, Templates())
    assert made.head == flow_exports.Head(5, 258, 9, 1_700_000_000_500, 1000, 100)
    assert made.malformed == ["short_message"]
    (record,) = made.records
    assert (record["packets"], record["bytes"], record["flags"], record["egress"]) == (10, 1000, 0x12, 4)
    assert made.units == 2


def test_a_bad_set_length_ends_the_datagram_and_what_was_before_it_counts() -> None:
    made = flow_exports.decode(ipfix(block(2, SIMPLE), block(256, RECORD), b"\1\0\0\0"), Templates())
    assert made.records == [READ]
    assert made.malformed == ["bad_set_length"]
    assert made.units == -1


def test_a_bomb_of_templates_and_records_of_no_bytes_costs_little() -> None:
    templates = Templates()
    for start in range(256, 60_000, 2000):
        bomb = b"".join(template(number, (1, 4), (2, 4)) for number in range(start, start + 2000))
        flow_exports.decode(ipfix(block(2, bomb)), templates)
    assert len(templates) <= 256
    empty = flow_exports.decode(ipfix(block(2, template(256, (1, 0))), block(256, bytes(1000))), Templates())
    assert empty.malformed == ["empty_record"]
    assert len(empty.waiting) == 1
