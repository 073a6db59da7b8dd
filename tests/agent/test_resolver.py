"""DNS servers that are silent, broken or hostile: an answer comes all the same, and says what was wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.resolver import Answer, Resolver, system_servers
from telemetry.clock import SystemClock

Reply = Callable[[bytes], bytes]


class _Server(asyncio.DatagramProtocol):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._reply(data), addr)


@contextlib.asynccontextmanager
async def serving(reply: Reply) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Server(reply), local_addr=("::1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


async def asked(reply: Reply, timeout: float = 0.2) -> Answer:
    async with serving(reply) as port:
        return await Resolver(["::1"], SystemClock(), timeout, port).lookup("www.example.gov", "AAAA")


def told(code: dns.rcode.Rcode) -> Reply:
    def reply(data: bytes) -> bytes:
        made = dns.message.make_response(dns.message.from_wire(data))
        made.set_rcode(code)
        return made.to_wire()

    return reply


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (dns.rcode.NOERROR, "nodata"),
        (dns.rcode.NXDOMAIN, "nxdomain"),
        (dns.rcode.SERVFAIL, "servfail"),
        (dns.rcode.REFUSED, "refused"),
    ],
)
async def test_what_the_server_says(code: dns.rcode.Rcode, status: str) -> None:
    answer = await asked(told(code))
    assert answer.status == status
    assert answer.answered == (status in ("nodata", "nxdomain"))


async def test_silence_a_closed_port_and_no_server_at_all() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as hole:
        hole.bind(("::1", 0))
        port = hole.getsockname()[1]
        silent = await Resolver(["::1"], SystemClock(), 0.2, port).lookup("a.example.gov", "A")
    closed = await Resolver(["::1"], SystemClock(), 0.2, port).lookup("a.example.gov", "A")
    assert silent.status == "timeout"
    assert closed.status in ("unreachable", "timeout")
    assert (await Resolver([], SystemClock()).lookup("a.example.gov", "A")).status == "no_server"


@pytest.mark.parametrize("name", ["", "a..b", "x" * 70 + ".gov", "ü.example"])
async def test_names_that_are_none(name: str) -> None:
    answer = await Resolver(["::1"], SystemClock(), 0.1, 1).lookup(name, "A")
    assert not answer.answered


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_are_an_answer_that_says_nothing(raw: bytes, right_id: bool) -> None:
    answer = asyncio.run(asked(lambda data: (data[:2] if right_id else b"") + raw, 0.05))
    assert answer.status
    assert answer.records == ()


def test_the_systems_servers(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/resolv.conf").write_text("# x\nsearch gov\nnameserver ::1\nnameserver 127.0.0.1\nnameserver\n")
    assert system_servers(tmp_path) == ("::1", "127.0.0.1")
    assert system_servers(tmp_path / "nowhere") == ()
