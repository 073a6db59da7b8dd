"""Mail against a real SMTP server (aiosmtpd) over IPv6: TLS both ways, login, and every kind of refusal."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from collector.notifier import Message, NotifierContext, Recipient
from collector.notifiers import smtp
from collector.notifiers.smtp import Config
from telemetry.errors import ConfigError, Permanent, Transient
from tests.parts import smtpd

Keep = Callable[..., str]


@pytest.mark.parametrize("implicit", [False, True])
def test_a_mail_arrives_over_ipv6_with_tls_and_login(
    context: NotifierContext, message: Message, pki: tuple[Path, Path], keep: Keep, implicit: bool
) -> None:
    with smtpd.start("::1", pki[1], implicit=implicit, login=True) as box:
        config = Config(
            host="::1",
            port=box.port,
            security="tls" if implicit else "starttls",
            ca_file=str(pki[0]),
            user=smtpd.USER,
            password_file=keep("password", smtpd.PASSWORD),
            sender="soc@example.gov.cn",
        )
        made = smtp.build(config, context)
        made.notify(message)
        made.notify(message)
    first, second = box.mails
    assert first["Message-ID"] == second["Message-ID"] == f"<{message.id}@example.gov.cn>"
    assert first["Subject"] == message.subject
    assert first["To"] == "li@example.gov.cn"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first.get_content().replace("\r\n", "\n").strip() == message.text


def test_without_tls_only_to_this_host(context: NotifierContext, message: Message) -> None:
    with pytest.raises(ConfigError, match="without TLS"):
        smtp.build(Config(host="mail.example.org", security="none"), context)
    with smtpd.start("::1") as box:
        smtp.build(Config(host="::1", port=box.port, security="none"), context).notify(message)
    assert len(box.mails) == 1


def test_a_server_that_offers_no_tls_gets_no_mail(context: NotifierContext, message: Message) -> None:
    with smtpd.start("::1") as box, pytest.raises(Transient):
        smtp.build(Config(host="::1", port=box.port), context).notify(message)
    assert box.mails == []


def test_a_certificate_that_is_not_known_gets_no_mail(
    context: NotifierContext, message: Message, pki: tuple[Path, Path]
) -> None:
    with smtpd.start("::1", pki[1]) as box, pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
        smtp.build(Config(host="::1", port=box.port), context).notify(message)
    assert box.mails == []


def test_refusals_are_final_or_not_as_the_server_says(context: NotifierContext, message: Message) -> None:
    with smtpd.start("::1") as box:
        made = smtp.build(Config(host="::1", port=box.port, security="none"), context)
        box.answers = ["451 try later", "554 spam"]
        with pytest.raises(Transient, match="451"):
            made.notify(message)
        with pytest.raises(Permanent, match="554"):
            made.notify(message)
        unknown = msgspec.structs.replace(message, to=Recipient("x", "x", "", "nobody@example.org"))
        with pytest.raises(Permanent, match="no such user"):
            made.notify(unknown)
        with pytest.raises(Permanent, match="no mail address"):
            made.notify(msgspec.structs.replace(message, to=Recipient("x", "x", "1")))
        made.notify(message)
    assert len(box.mails) == 1


def test_a_header_can_not_be_smuggled_in(context: NotifierContext, message: Message) -> None:
    with smtpd.start("::1") as box:
        made = smtp.build(Config(host="::1", port=box.port, security="none"), context)
        made.notify(msgspec.structs.replace(message, subject="a\r\nBcc: x@example.org\r\n\r\nbody"))
        evil = Recipient("x", "x", "", "a@example.org\r\nBcc: b@example.org")
        with pytest.raises(Permanent):
            made.notify(msgspec.structs.replace(message, to=evil))
    assert "Bcc" not in box.mails[0]
    assert box.envelopes[0].rcpt_tos == ["li@example.gov.cn"]


def test_a_wrong_password_is_said_and_tried_again(
    context: NotifierContext, message: Message, keep: Keep, pki: tuple[Path, Path]
) -> None:
    with smtpd.start("::1", pki[1], login=True) as box:
        config = Config(
            host="::1",
            port=box.port,
            ca_file=str(pki[0]),
            user=smtpd.USER,
            password_file=keep("password", "wrong"),
        )
        with pytest.raises(Transient, match="refuses the login"):
            smtp.build(config, context).notify(message)


@pytest.mark.parametrize("babble", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 70_000, b"220 hello\r\n\x00"])
def test_garbage_and_silence_cost_no_more_than_the_timeout(
    context: NotifierContext, message: Message, babble: bytes
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(babble)
                ended.wait(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        config = Config(host="::1", port=listening.getsockname()[1], security="none", timeout_s=1)
        begin = time.monotonic()
        with pytest.raises(Transient):
            smtp.build(config, context).notify(message)
        assert time.monotonic() - begin < 4
        ended.set()
        thread.join()


def test_mistakes_are_said_at_the_start(context: NotifierContext) -> None:
    with pytest.raises(ConfigError, match="a user needs a password"):
        smtp.build(Config(user="x"), context)
    with pytest.raises(ConfigError, match="not a mail address"):
        smtp.build(Config(sender="x y@z"), context)
