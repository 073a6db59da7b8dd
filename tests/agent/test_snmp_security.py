"""The user-based model against someone on the path: forged reports, old answers, answers below the level asked for."""

from __future__ import annotations

import contextlib
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import ber, snmp_message
from agent.decoders.ber import Oid
from agent.decoders.snmp_message import V3, Flags, Kind, Pdu
from agent.snmp_security import Again, SnmpFault, Usm, build, localised, problems
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from telemetry.work import SnmpCredential, SnmpVersion
from tests.agent.snmp_device import coded_value

ENGINE = bytes.fromhex("8000000001020304")
CREDENTIAL = SnmpCredential(SnmpVersion.V3, user="u", auth_protocol="SHA", auth_key="a-long-secret")
SEALED = SnmpCredential(
    SnmpVersion.V3, user="u", auth_protocol="SHA", auth_key="a-long-secret", priv_protocol="AES", priv_key="another-one"
)
STATS: Oid = (1, 3, 6, 1, 6, 3, 15, 1, 1)
NAME: Oid = (1, 3, 6, 1, 2, 1, 1, 5, 0)


def message(
    kind: Kind, name: Oid, boots: int = 3, time: int = 1000, signed: bool = True, id: int = 7, engine: bytes = ENGINE
) -> bytes:
    """What an agent with this engine sends."""
    bind = ber.element(ber.SEQUENCE, ber.encode_oid(name) + coded_value(1))
    fields = b"".join(map(ber.encode_integer, (id, 0, 0))) + ber.element(ber.SEQUENCE, bind)
    scoped = ber.element(
        ber.SEQUENCE,
        ber.element(ber.OCTETS, engine) + ber.element(ber.OCTETS, b"") + ber.element(kind, fields),
    )
    flags = Flags.AUTH if signed else Flags.NONE
    sent = V3(id, flags, engine, boots, time, b"u", bytes(12 if signed else 0), 0, b"", scoped)
    whole, at = snmp_message.encode_v3(sent)
    if not signed:
        return whole
    key = localised("SHA", "a-long-secret", engine)
    digest = hmac.new(key, whole, hashlib.sha1).digest()[:12]
    return whole[:at] + digest + whole[at + 12 :]


def known(credential: SnmpCredential = CREDENTIAL, clock: ManualClock | None = None) -> Usm:
    """A security that has learnt its engine from a discovery."""
    usm = Usm(credential, clock or ManualClock())
    assert not usm.ready()
    with pytest.raises(Again):
        usm.unwrap(message(Kind.REPORT, (*STATS, 4, 0), signed=False), {7})
    assert usm.ready()
    return usm


def test_a_signed_answer_is_taken() -> None:
    assert known().unwrap(message(Kind.RESPONSE, NAME), {7}) == Pdu(Kind.RESPONSE, 7, ((NAME, 1),))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message(Kind.RESPONSE, NAME, signed=False), "security_level"),
        (message(Kind.RESPONSE, NAME, id=8), "stray"),
        (message(Kind.RESPONSE, NAME, engine=b"\x80\0\0\0\x09\x09\x09"), "wrong_digest"),
        (message(Kind.RESPONSE, NAME)[:-1] + b"\x05", "wrong_digest"),
        (message(Kind.RESPONSE, NAME, boots=2), "replayed"),
        (message(Kind.RESPONSE, NAME, time=800), "replayed"),
        (message(Kind.REPORT, (*STATS, 2, 0), boots=9, signed=False), "not_authentic"),
    ],
)
def test_what_is_not_believed(data: bytes, reason: str) -> None:
    with pytest.raises(Permanent) as error:
        known().unwrap(data, {7})
    assert error.value.reason == reason


def test_an_answer_in_clear_is_not_taken_where_privacy_was_asked_for() -> None:
    with pytest.raises(Permanent) as error:
        known(SEALED).unwrap(message(Kind.RESPONSE, NAME), {7})
    assert error.value.reason == "security_level"


def test_a_signed_time_report_moves_our_idea_of_its_time() -> None:
    clock = ManualClock()
    usm = known(clock=clock)
    with pytest.raises(Again):
        usm.unwrap(message(Kind.REPORT, (*STATS, 2, 0), boots=4, time=5), {7})
    clock.advance(10)
    sent = snmp_message.decode_v3(usm.wrap(Pdu(Kind.GET, 8, ((NAME, None),))))
    assert (sent.boots, sent.time) == (4, 15)


@pytest.mark.parametrize(
    ("counter", "reason"), [(1, "security_level"), (3, "auth"), (5, "auth"), (6, "auth"), (9, "report")]
)
def test_what_a_refusal_means(counter: int, reason: str) -> None:
    with pytest.raises(SnmpFault) as fault:
        known().unwrap(message(Kind.REPORT, (*STATS, counter, 0), signed=False), {7})
    assert fault.value.reason == reason


def test_the_digest_is_right_where_the_engine_id_holds_twelve_zeros() -> None:
    engine = b"\x80\0\x1f\x88" + bytes(13)
    usm = Usm(CREDENTIAL, ManualClock())
    with pytest.raises(Again):
        usm.unwrap(message(Kind.REPORT, (*STATS, 4, 0), signed=False, engine=engine), {7})
    sent = usm.wrap(Pdu(Kind.GET, 8, ((NAME, None),)))
    read = snmp_message.decode_v3(sent)
    blank = sent[: read.digest_at] + bytes(12) + sent[read.digest_at + 12 :]
    key = localised("SHA", "a-long-secret", engine)
    assert read.digest == hmac.new(key, blank, hashlib.sha1).digest()[:12]
    assert read.engine_id == engine


def test_keys_are_those_of_the_standard() -> None:
    """RFC 3414 A.3.1 and A.3.2."""
    engine = bytes.fromhex("000000000000000000000002")
    assert localised("MD5", "maplesyrup", engine).hex() == "526f5eed9fcce26f8964c2930787d82b"
    assert localised("SHA", "maplesyrup", engine).hex() == "6695febc9288e36282235fc7151f128497b38f3f"


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (SnmpCredential(SnmpVersion.V2C), ["community"]),
        (SnmpCredential(SnmpVersion.V3), ["user"]),
        (SnmpCredential(SnmpVersion.V3, user="u", auth_protocol="SHA"), ["auth_key"]),
        (SnmpCredential(SnmpVersion.V3, user="u", auth_key="longenough"), ["auth_protocol"]),
        (SnmpCredential(SnmpVersion.V3, user="u", priv_protocol="AES", priv_key="longenough"), ["authentication"]),
        (SnmpCredential(SnmpVersion.V3, user="u", auth_protocol="SHA", auth_key="short"), ["at least 8"]),
        (
            SnmpCredential(SnmpVersion.V3, user="u" * 33, auth_protocol="X", auth_key="s"),
            ["user", "SHA512", "at least"],
        ),
    ],
)
def test_what_is_wrong_with_a_credential_is_said_without_showing_it(
    credential: SnmpCredential, words: list[str]
) -> None:
    said = " ".join(problems(credential))
    assert all(word in said for word in words)
    assert "longenough" not in said
    with pytest.raises(SnmpFault):
        build(credential, ManualClock())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 200))
def test_any_bytes_and_any_change_of_a_real_answer(raw: bytes, at: int) -> None:
    usm = known(SEALED)
    good = message(Kind.RESPONSE, NAME)
    for data in (raw, good[:at] + raw[:1] + good[at + 1 :]):
        with contextlib.suppress(Permanent, Again, SnmpFault):
            usm.unwrap(data, {7})
