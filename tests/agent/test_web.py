"""Servers that are slow, endless, broken or hostile: every fetch ends, within its bounds, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import web
from agent.web import Bounds, Page, expiry
from telemetry.clock import SystemClock

QUICK = Bounds(connect_s=0.5, total_s=0.6, body=1000)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await reader.readuntil(b"\r\n\r\n")
                await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(one(reader, writer)))

    server = await asyncio.start_server(accept, "::1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        if tasks:
            await asyncio.wait(tasks, timeout=0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fetched(serve: Serve, bounds: Bounds = QUICK) -> Page:
    async with serving(serve) as port:
        return await web.get(SystemClock(), "::1", port, "www.example.gov", "/", None, bounds)


def saying(raw: bytes) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return serve


def repeating(start: bytes, piece: bytes, pause: float = 0.0) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return serve


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello and more", b"hello"),
        (OK + b"\r\nuntil the end", b"until the end"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n", b"hello world"),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"packed", mtime=0), b"packed"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"\r\nlate", b"late"),
        (OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000, b"x" * 1000),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b"x" * 5000, b"x" * 1000),
        (OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000), mtime=0)[:900], bytes(1000)),
        (b"HTTP/1.0 204 No Content\r\n\r\nignored", b""),
    ],
)
async def test_bodies_and_their_bound(raw: bytes, body: bytes) -> None:
    page = await fetched(saying(raw))
    assert (page.error, page.body) == ("", body)
    assert 200 <= page.status < 300


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999 No\r\n\r\n",
        OK + b"X: y\r\n" * 200 + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Encoding: gzip\r\n\r\nnot gzip",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"x" * 100_000,
    ],
)
async def test_garbage_is_malformed(raw: bytes) -> None:
    assert (await fetched(saying(raw))).error == "malformed"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nCut", OK + b"Content-Length: 50\r\n\r\nshort"])
async def test_a_connection_that_ends_too_early_is_closed(raw: bytes) -> None:
    assert (await fetched(saying(raw))).error == "closed"


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (repeating(OK, b"X", 0.01), "timeout"),
        (repeating(OK + b"\r\n", b"x", 0.01), "timeout"),
        (repeating(OK + b"\r\n", b"x" * 65_536), ""),
        (repeating(OK, b"A: b\r\n" * 1000), "malformed"),
        (repeating(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.01), "timeout"),
    ],
)
async def test_endless_answers_end(serve: Serve, error: str) -> None:
    started = time.monotonic()
    page = await fetched(serve)
    assert page.error == error
    assert len(page.body) <= 1000
    assert time.monotonic() - started < 3


async def test_a_server_that_says_nothing_and_one_that_is_not_there() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        assert await web.connect("::1", port, 1) == "open"
        plain = await web.get(SystemClock(), "::1", port, "h", "/", None, QUICK)
        tls = await web.get(SystemClock(), "::1", port, "h", "/", web.context(), QUICK)
        assert await web.handshake("::1", port, "h", web.context("TLSv1.3"), 0.3) == ""
    assert (plain.error, tls.error) == ("timeout", "timeout")
    assert await web.connect("::1", port, 1) == "refused"
    assert (await web.get(SystemClock(), "::1", port, "h", "/", None, QUICK)).error == "refused"


async def test_plain_http_where_tls_was_wanted() -> None:
    async with serving(saying(OK + b"\r\n")) as port:
        page = await web.get(SystemClock(), "::1", port, "h", "/", web.context(), QUICK)
    assert page.error in ("tls", "timeout")


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_page(raw: bytes, after_status: bool) -> None:
    page = asyncio.run(fetched(saying((OK if after_status else b"") + raw)))
    assert page.error in ("", "malformed", "closed", "timeout")


def test_when_a_certificate_runs_out() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "www.portal.example")])
    until = datetime.datetime(2027, 3, 1, 12, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(7).not_valid_before(until - datetime.timedelta(days=90)).not_valid_after(until)
    signed = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert expiry(signed) == "2027-03-01T12:00:00Z"
    assert expiry(signed[:-40]) == expiry(b"") == ""


@given(st.binary(max_size=400))
def test_any_bytes_as_a_certificate_give_a_text(raw: bytes) -> None:
    assert expiry(raw) == ""
