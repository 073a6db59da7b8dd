"""The judgement of check 6, and its questions, put to a name server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import dns.message
import dns.rcode
import dns.rrset
import pytest

from agent.check import SystemSubject
from agent.checks import reverse_name
from agent.checks.reverse_name import Measured, judge
from agent.probe import Bounds
from telemetry.verdict import Status
from tests.agent.checks.measuring import SYSTEM, measure, probe
from tests.parts.portal import DOMAIN

A, B = "240e::1", "240e::2"
REVERSE_A = "1." + "0." * 27 + "e.0.4.2.ip6.arpa."


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ({A: "matches", B: "matches"}, Status.PASS),
        ({A: "matches", B: "no_answer"}, Status.PASS),
        ({A: "matches", B: "no_name"}, Status.WARN),
        ({A: "differs"}, Status.WARN),
        ({A: "no_answer"}, Status.NOT_TESTED),
        ({}, Status.NOT_TESTED),
    ],
)
def test_judgement(states: dict[str, str], wanted: Status) -> None:
    assert judge(Measured(states)).status == wanted


class NameServer(asyncio.DatagramProtocol):
    """Answers from a table of ``(name, type)``; anything else does not exist."""

    def __init__(self, records: Mapping[tuple[str, str], str]) -> None:
        self._records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = question.rdtype.name
        reply = dns.message.make_response(query, recursion_available=True)
        record = self._records.get((question.name.to_text(), kind))
        if record is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", kind, record))
        self._transport.sendto(reply.to_wire(), addr)


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({(REVERSE_A, "PTR"): f"{DOMAIN}."}, Status.PASS),
        ({(REVERSE_A, "PTR"): "other.example."}, Status.WARN),
        ({}, Status.WARN),
    ],
)
async def test_what_a_name_server_says(records: dict[tuple[str, str], str], wanted: Status) -> None:
    table = {(f"{DOMAIN}.", "AAAA"): A, **records}
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: NameServer(table), local_addr=("::1", 0))
    try:
        port = transport.get_extra_info("sockname")[1]
        finding = await measure(reverse_name, SystemSubject(SYSTEM, DOMAIN), probe(Bounds(dns_port=port)))
    finally:
        transport.close()
    assert finding.status == wanted, finding
