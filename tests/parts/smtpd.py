"""A real SMTP server (aiosmtpd) on loopback, with STARTTLS or TLS and a login; it keeps what it is given."""

from __future__ import annotations

import contextlib
import email
import email.message
import email.policy
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "tengwang", "a good password"


class Mailbox:
    """Handler of aiosmtpd. ``answers`` are given to the next messages instead of 250."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.answers: list[str] = []
        self.port = 0
        self.host = ""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        if self.answers:
            return self.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
        self.envelopes.append(envelope)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - its name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"


def _check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=good, handled=False)


@contextlib.contextmanager
def start(
    host: str = "::1", certificate: Path | None = None, *, implicit: bool = False, login: bool = False
) -> Iterator[Mailbox]:
    """``certificate``: PEM with key; then with STARTTLS, or with TLS from the first byte where ``implicit``."""
    box = Mailbox()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    options: dict[str, Any] = {"authenticator": _check, "auth_required": True} if login else {}
    if context is not None and not implicit:
        options |= {"tls_context": context, "require_starttls": True}
    if login and context is None:
        options["auth_require_tls"] = False
    if login and implicit:
        options["auth_require_tls"] = False
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port = probe.getsockname()[1]
    controller = Controller(
        box, hostname=host, port=port, ssl_context=context if implicit else None, ready_timeout=10, **options
    )
    with warnings.catch_warnings():  # for each connection: a login without TLS, on loopback, is meant
        warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS", UserWarning)
        controller.start()
        try:
            box.host, box.port = host, port
            yield box
        finally:
            controller.stop()
