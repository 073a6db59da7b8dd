"""SNMP messages against pysnmp's own encoder, and any bytes at all."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from agent.decoders import snmp_message
from agent.decoders.snmp_message import V3, Flags, Kind, Pdu
from telemetry.errors import Permanent

SYS_DESCR = (1, 3, 6, 1, 2, 1, 1, 1, 0)


def response(binds: list[tuple[tuple[int, ...], object]], request_id: int = 7) -> bytes:
    """A v2c response as pysnmp encodes it."""
    pdu = v2c.ResponsePDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_request_id(pdu, request_id)
    v2c.apiPDU.set_varbinds(pdu, binds)
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, "c")
    v2c.apiMessage.set_pdu(message, pdu)
    return bytes(encoder.encode(message))


def test_an_answer_as_pysnmp_encodes_it() -> None:
    data = response([(SYS_DESCR, v2c.OctetString("Linux")), ((1, 3, 6, 1, 9), v2c.Counter64(2**64 - 1))])
    assert snmp_message.decode_community(data) == Pdu(
        Kind.RESPONSE, 7, ((SYS_DESCR, b"Linux"), ((1, 3, 6, 1, 9), 2**64 - 1))
    )


def test_pysnmp_reads_our_request() -> None:
    pdu = Pdu(Kind.GET_BULK, 2**31 - 1, ((SYS_DESCR, None),), 0, 20)
    message, rest = decoder.decode(snmp_message.encode_community(1, b"secret", pdu), asn1Spec=v2c.Message())
    assert not rest
    read = v2c.apiMessage.get_pdu(message)
    assert read.tagSet == v2c.GetBulkRequestPDU.tagSet
    assert [tuple(name) for name, _ in v2c.apiBulkPDU.get_varbinds(read)] == [SYS_DESCR]
    assert int(v2c.apiBulkPDU.get_max_repetitions(read)) == 20


@given(st.binary(max_size=40), st.integers(0, 2**31 - 1), st.sampled_from([0, 12, 48]))
def test_a_v3_message_comes_back_and_the_digest_lies_where_it_says(engine: bytes, time: int, size: int) -> None:
    digest = bytes(range(1, size + 1))
    scoped = snmp_message.encode_scoped(engine, b"", Pdu(Kind.GET, 5, ((SYS_DESCR, None),)))
    sent = V3(9, Flags.AUTH | Flags.REPORTABLE, engine, 3, time, b"user", digest, 0, b"", scoped)
    data, at = snmp_message.encode_v3(sent)
    assert data[at : at + size] == digest
    read = snmp_message.decode_v3(data)
    assert (read.engine_id, read.time, read.digest, read.digest_at, read.scoped) == (engine, time, digest, at, scoped)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_permanent(data: bytes) -> None:
    for read in (snmp_message.decode_community, snmp_message.decode_v3, snmp_message.decode_scoped):
        with contextlib.suppress(Permanent):
            read(data)


@given(st.integers(0, 120), st.integers(0, 255))
def test_a_real_answer_with_one_byte_changed_is_a_message_or_permanent(at: int, byte: int) -> None:
    data = bytearray(response([(SYS_DESCR, v2c.OctetString("Linux")), ((1, 3, 6, 1, 9), v2c.Counter32(5))]))
    data[at % len(data)] = byte
    with contextlib.suppress(Permanent):
        snmp_message.decode_community(bytes(data))
