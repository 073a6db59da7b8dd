from __future__ import annotations

import contextlib

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import datagram
from agent.decoders import dns as decoder
from telemetry.errors import Permanent
from telemetry.event import canonical_ip
from tests.agent.decoders.tshark import CAPTURES, fields, frames

MESSAGES = [datagram.locate(frame).payload for frame in frames("dns.pcap")]
QUESTION = b"\x12\x34\x01\x00\0\1\0\0\0\0\0\0"
ANSWER = b"\x12\x34\x81\x80\0\1\0\2\0\0\0\0"
NAME = b"\x03WWW\x02ex\0"


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 40))
def test_any_bytes_give_a_message_or_permanent(data: bytes, records: int) -> None:
    headed = ANSWER[:6] + records.to_bytes(2, "big") + ANSWER[8:]
    for candidate in (data, QUESTION + data, headed + data, headed + NAME + b"\0\1\0\1" + data):
        with contextlib.suppress(Permanent):
            made = decoder.decode(candidate)
            assert made.name.isprintable()
            assert len(made.name) <= 4 * decoder.MAX_NAME
            assert len(made.answers) <= decoder.MAX_ANSWERS


@settings(max_examples=300)
@given(st.sampled_from(MESSAGES), st.data())
def test_dnspython_agrees_on_what_both_read(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        ours = decoder.decode(bytes(changed))
        theirs = dns.message.from_wire(bytes(changed), ignore_trailing=True, one_rr_per_rrset=True)
    except (Permanent, dns.exception.DNSException, ValueError):
        return
    (question,) = theirs.question
    if question.rdclass != 1:
        return
    labels = [label.lower() for label in question.name.labels[:-1]]
    assert ours.octets == b".".join(labels)
    assert ours.id == theirs.id
    if ours.response and len(ours.answers) < decoder.MAX_ANSWERS and len(theirs.answer) < decoder.MAX_RECORDS:
        sets = [rrset for rrset in theirs.answer if rrset.rdclass == 1 and rrset.rdtype in (1, 28)]
        wanted = [canonical_ip(rrset[0].address) for rrset in sets]
        assert [answer for answer in ours.answers if answer in wanted] == wanted


def test_names_are_lower_case_and_printable() -> None:
    name = b"\x05a.\\ \xff\x02Ex\0"
    assert decoder.decode(QUESTION + name + b"\0\1\0\1").name == r"a\046\092\032\255.ex"
    assert decoder.decode(QUESTION + b"\0" + b"\0\2\0\1" + bytes(4)).name == ""


def test_addresses_and_aliases_are_given_with_the_smallest_ttl() -> None:
    alias = b"\xc0\x0c\0\5\0\1\0\0\1\0\0\6\3web\xc0\x10"
    address = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
    made = decoder.decode(ANSWER + NAME + b"\0\1\0\1" + alias + address)
    assert (made.response, made.code, made.name, made.type) == (True, "NOERROR", "www.ex", "A")
    assert (made.answers, made.ttl) == (("web.ex", "192.0.2.1"), 60)


def test_a_cut_answer_gives_what_there_is() -> None:
    address = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
    made = decoder.decode((ANSWER + NAME + b"\0\1\0\1" + address * 2)[:-3])
    assert made.answers == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"\xc0\x0c" + bytes(4), "bad_name"),  # to itself
        (b"\x01a\xc0\x0c" + bytes(4), "bad_name"),  # round in a circle
        (b"\xc0\x20" + bytes(40), "bad_name"),  # forward
        (b"\x40" + bytes(80), "bad_name"),
        (b"\x3f" + bytes(63) + b"\x3f" + bytes(63) + b"\x3f" + bytes(63) + b"\x3f" + bytes(63) + b"\0", "bad_name"),
        (b"\x01a" * 129 + b"\0", "bad_name"),
        (b"\x3fshort", "bad_name"),
        (b"\x03www\0\0\1", "short_dns"),
    ],
)
def test_a_name_that_is_none_is_refused(name: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        decoder.decode(QUESTION + name)


@pytest.mark.parametrize("head", [b"\0\0\x28\0\0\1", b"\0\0\0\0\0\2", b"\0\0\0\0\0\0"])
def test_updates_and_messages_without_one_question_are_not_read(head: bytes) -> None:
    with pytest.raises(Permanent, match="other_dns"):
        decoder.decode(head + bytes(6) + NAME + b"\0\1\0\1")


@pytest.mark.needs("tshark")
def test_tshark_reads_the_same() -> None:
    rows = fields(CAPTURES / "dns.pcap", "dns.id", "dns.flags.response", "dns.flags.rcode", "dns.qry.type", "dns.a",
                  "dns.aaaa")  # fmt: skip
    numbers = {name: str(number) for number, name in decoder.TYPES.items()}
    ours = []
    for made in map(decoder.decode, MESSAGES):
        code = str(decoder.CODES.index(made.code)) if made.response else ""
        v4 = ",".join(a for a in made.answers if a[0].isdigit() and ":" not in a)
        v6 = ",".join(a for a in made.answers if ":" in a)
        ours.append((f"{made.id:#06x}", str(int(made.response)), code, numbers[made.type], v4, v6))
    assert [(*row[:1], row[1].replace("True", "1").replace("False", "0"), *row[2:]) for row in rows] == ours
