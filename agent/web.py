"""HTTP and TLS as a measuring instrument: one address that is given, every wait and every size bounded.

The server may be hostile: endless headers or body, one byte a second, garbage, a compressed bomb. What comes back is a
``Page`` that says what was had and what went wrong; certificates are looked at, not judged, since parity is measured.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
import ssl
import warnings
import zlib
from collections.abc import Mapping

import msgspec
from cryptography import x509

from telemetry.clock import Clock

MAX_HEADER = 32_768
MAX_HEADERS = 100
AGENT = "Tengwang-readiness"
PRINTABLE = re.compile(r"[\x21-\x7e]{1,2000}")
VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Check 9's own figures (after Internet.nl and the national platform's practice), check 13's body size."""

    connect_s: float = 4.0
    total_s: float = 15.0
    body: int = 500_000


class Page(msgspec.Struct, frozen=True):
    """One answer. ``error`` is empty, or timeout, refused, unreachable, tls, malformed, closed, redirect_loop."""

    address: str
    error: str = ""
    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    connect_ms: float = 0.0
    total_ms: float = 0.0
    fingerprint: str = ""
    protocol: str = ""
    expires: str = ""
    """When the certificate runs out, RFC 3339; empty where it can not be read."""


class Closed(Exception):
    """The server's answer can not be used; the argument is the ``error`` of the page."""


def context(version: str = "") -> ssl.SSLContext:
    """A client context that takes any certificate and any protocol, or exactly one protocol version."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():  # old versions are deprecated for use; here their presence is measured
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = VERSIONS[version] if version else ssl.TLSVersion.MINIMUM_SUPPORTED
        made.maximum_version = VERSIONS[version] if version else ssl.TLSVersion.MAXIMUM_SUPPORTED
    return made


def expiry(certificate: bytes) -> str:
    """Any bytes are a text, perhaps an empty one: what a server shows need not be a certificate."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc.isoformat().replace("+00:00", "Z")
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        return ""


def failure(error: BaseException) -> str:
    """The word for what went wrong with a connection."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError | asyncio.IncompleteReadError):
        return "closed"
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return "unreachable"
    return "malformed"


async def connect(address: str, port: int, seconds: float) -> str:
    """``open``, or why not."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, ValueError) as error:
        return failure(error)
    await _close(writer)
    return "open"


async def handshake(address: str, port: int, name: str, tls: ssl.SSLContext, seconds: float) -> str:
    """The protocol version agreed on with this context; empty where there is none."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    except (OSError, ValueError):
        return ""
    version = str(writer.get_extra_info("ssl_object").version())
    await _close(writer)
    return version


async def get(
    clock: Clock, address: str, port: int, host: str, path: str, tls: ssl.SSLContext | None, bounds: Bounds
) -> Page:
    """GET one path of ``host`` at one address. Never raises."""
    started = clock.monotonic()
    made = Page(address)
    if not PRINTABLE.fullmatch(host + path):  # a line end here would be a request of its own
        return Page(address, "malformed")
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(bounds.total_s):
            async with asyncio.timeout(bounds.connect_s):
                reader, writer = await asyncio.open_connection(
                    address, port, ssl=tls, server_hostname=host if tls else None, limit=MAX_HEADER
                )
            made = msgspec.structs.replace(made, connect_ms=_since(clock, started))
            if tls is not None:
                channel = writer.get_extra_info("ssl_object")
                certificate = channel.getpeercert(binary_form=True) or b""
                made = msgspec.structs.replace(
                    made,
                    fingerprint=hashlib.sha256(certificate).hexdigest(),
                    protocol=str(channel.version()),
                    expires=expiry(certificate),
                )
            where = f"{host}:{port}" if port not in (80, 443) else host
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {where}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n"
                "Accept-Encoding: identity\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            await writer.drain()
            status, headers = await _head(reader)
            made = msgspec.structs.replace(made, status=status, headers=headers)
            body = await _body(reader, status, headers, bounds.body)
            made = msgspec.structs.replace(made, body=body)
    except Closed as error:
        made = msgspec.structs.replace(made, error=str(error))
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        made = msgspec.structs.replace(made, error=failure(error))
    finally:
        if writer is not None:
            await _close(writer)
    return msgspec.structs.replace(made, total_ms=_since(clock, started))


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; an interim (1xx) answer is passed over."""
    for _ in range(5):
        try:
            raw = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Closed("malformed") from None
        lines = raw.decode("latin-1").split("\r\n")
        found = re.match(r"HTTP/1\.[01] ([1-5]\d\d)(?: |$)", lines[0])
        if not found or len(lines) > MAX_HEADERS:
            raise Closed("malformed")
        if not found[1].startswith("1"):
            pairs = (line.partition(":") for line in lines[1:] if ":" in line)
            return int(found[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
    raise Closed("malformed")


async def _body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str], bound: int) -> bytes:
    """At most ``bound`` bytes of the body, out of its transfer and content encodings."""
    if status in (204, 304):
        return b""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        raw = await _chunks(reader, bound)
    else:
        length = headers.get("content-length", "")
        raw = await _read(reader, min(bound, int(length)) if length.isdecimal() and len(length) < 19 else bound)
        if length.isdecimal() and len(length) < 19 and len(raw) < min(bound, int(length)):
            raise Closed("closed")
    if headers.get("content-encoding", "").lower() in ("gzip", "deflate"):
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, bound)
        except zlib.error:
            raise Closed("malformed") from None
    return raw


async def _chunks(reader: asyncio.StreamReader, bound: int) -> bytes:
    body = bytearray()
    while len(body) < bound:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise Closed("malformed") from None
        size = line.split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
            raise Closed("malformed")
        if not int(size, 16):
            break
        wanted = min(int(size, 16), bound - len(body))
        body += await reader.readexactly(wanted)
        if wanted == int(size, 16):
            await reader.readexactly(2)
    return bytes(body)


async def _read(reader: asyncio.StreamReader, bound: int) -> bytes:
    body = bytearray()
    while len(body) < bound and (piece := await reader.read(min(65_536, bound - len(body)))):
        body += piece
    return bytes(body)


async def _close(writer: asyncio.StreamWriter) -> None:
    """Drop the connection; a server that does not close its side is not waited for."""
    writer.transport.abort()
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except (OSError, ssl.SSLError):
        return


def _since(clock: Clock, started: float) -> float:
    return round((clock.monotonic() - started) * 1000, 2)
