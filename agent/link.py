"""One HTTPS connection to a collector, kept open between requests. Blocks; one thread at a time."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from telemetry.errors import ConfigError, Transient
from telemetry.wire import Refusal

MAX_ANSWER = 16 * 1024 * 1024
MAX_RETRY_AFTER = 300.0


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    etag: str = ""
    retry_after: float | None = None

    def refusal(self) -> Refusal:
        """Why it was refused, as far as the answer tells."""
        try:
            return msgspec.json.decode(self.body, type=Refusal)
        except msgspec.DecodeError:
            return Refusal(f"http_{self.status}", http.client.responses.get(self.status, ""))


class Unanswered(Transient):
    """No answer. ``sent``: the request may have been carried out all the same. ``stale``: the connection had been
    kept open, and the collector closed it; a new one may do."""

    def __init__(self, message: str, sent: bool, stale: bool) -> None:
        self.sent, self.stale = sent, stale
        super().__init__(message)


def parse_url(url: str) -> tuple[str, int]:
    """Host (an IPv6 literal without brackets) and port. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as error:
        raise ConfigError.one(
            url, str(error), "like https://collector.example:8743 or https://[2001:db8::1]:8743"
        ) from error
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        hint = "like https://collector.example:8743 or https://[2001:db8::1]:8743"
        raise ConfigError.one(url, "is not a collector's address", hint)
    return parts.hostname, port


class Link:
    """Connects on the first request, and again after an error."""

    def __init__(self, url: str, context: ssl.SSLContext, timeout: float) -> None:
        self.url = url
        host, port = parse_url(url)
        self._connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """Any answer with a status. Raises Unanswered where there is none."""
        fresh = self._connection.sock is None
        sent = False
        try:
            if fresh:
                self._connect()
            sent = True
            self._connection.request(method, path, body or None, dict(headers or {}))
            answer = self._connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
            if len(data) > MAX_ANSWER:
                raise http.client.HTTPException(f"an answer of more than {MAX_ANSWER} bytes")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            stale = not fresh and not isinstance(error, TimeoutError)
            raise Unanswered(f"{self.url}: {explain(error)}", sent, stale) from error
        return Answer(answer.status, data, answer.getheader("ETag", ""), _retry_after(answer.getheader("Retry-After")))

    def _connect(self) -> None:
        self._connection.connect()
        if isinstance(self._connection.sock, socket.socket):
            self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def abort(self) -> None:
        """End a request that another thread waits for."""
        if isinstance(sock := self._connection.sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()


def explain(error: BaseException) -> str:
    """One clear line for a person."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the collector's certificate is not good: {error.verify_message}; where the "
            "collector was set up anew enrol again, where a clock is wrong put it right"
        )
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _retry_after(text: str | None) -> float | None:
    """Seconds, from either form of RFC 9110 section 10.2.3; the date is taken against its own clock's present."""
    if not text:
        return None
    if text.strip().isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return MAX_RETRY_AFTER if when else None
