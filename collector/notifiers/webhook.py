"""POST a page as JSON, e.g. to a chat bot, an SMS platform's HTTP interface, or a program of one's own.

``Idempotency-Key`` is the same for every try. With a secret the request is signed: ``Tengwang-Signature: t=T,v1=HEX``
is HMAC-SHA256 over ``T.BODY``, T in seconds. 2xx is taken; 408, 425, 429 and 5xx are tried again; another answer is
final. Redirects are not followed: they would carry the page to where nobody configured it.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from collector.deadline import deadline
from collector.notifier import Channel, Message, NotifierContext, Sent
from collector.secret_file import secret
from collector.tls_client import tls_context
from telemetry.errors import ConfigError, Permanent, Transient

MAX_ANSWER = 16_384
AGAIN = frozenset({408, 409, 425, 429})


class Config(Channel, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the notifier ``webhook``."""

    url: Annotated[str, Meta(description="where to POST; https, or http to this host itself")] = ""
    secret_file: Annotated[str, Meta(description="file with the key that signs requests, mode 0600, or empty")] = ""
    bearer_file: Annotated[str, Meta(description="file with a bearer token to send, mode 0600, or empty")] = ""
    ca_file: Annotated[str, Meta(description="PEM file of the CA of the target; empty: those of the system")] = ""


class Webhook:
    def __init__(self, config: Config, context: NotifierContext) -> None:
        parts = urlsplit(config.url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ConfigError.one("notifiers: webhook: url", f"{config.url!r} is no URL", "https://host/path")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigError.one("notifiers: webhook: url", "pages leave this host only with https")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = config.timeout_s
        self._clock = context.clock
        self._secret = secret(context.home, config.secret_file, "secret_file")
        self._bearer = secret(context.home, config.bearer_file, "bearer_file")
        self._tls = tls_context(str(context.home / config.ca_file) if config.ca_file else "")

    def notify(self, message: Message) -> Sent:
        body = msgspec.json.encode(message)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "tengwang",
            "Idempotency-Key": message.id,
            "Content-Length": str(len(body)),
        }
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        if self._secret:
            at = self._clock.now_ms() // 1000
            signature = hmac.new(self._secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            headers["Tengwang-Signature"] = f"t={at},v1={signature}"
        status, answer = self._post(body, headers)
        if 200 <= status < 300:
            return Sent()
        told = f"{status} {answer[:200]}".strip()
        if status in AGAIN or status >= 500:
            raise Transient(f"the target answered {told}")
        raise Permanent("refused", f"the target answered {told}")

    def close(self) -> None:
        """Nothing is kept open."""

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        connection: http.client.HTTPConnection
        if self._secure:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
            with deadline(self._timeout_s, connection.sock):
                connection.request("POST", self._target, body, headers)
                answer = connection.getresponse()
                told = answer.read(MAX_ANSWER).decode("utf-8", "replace")
                return answer.status, " ".join(told.split())
        except ssl.SSLCertVerificationError as error:
            raise Transient(f"the target's certificate is not good: {error.verify_message}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Transient(f"{self._host}: {type(error).__name__} {error}".strip()) from error
        finally:
            connection.close()


def build(config: Config, context: NotifierContext) -> Webhook:
    return Webhook(config, context)
