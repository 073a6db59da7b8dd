"""A page as a mail. ``Message-ID`` is the same for every try, so a mail server or reader can tell a repeat."""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import smtplib
import socket
import ssl
from typing import Annotated, Literal

from msgspec import Meta

from collector.deadline import deadline
from collector.notifier import Channel, Message, NotifierContext, Sent
from collector.secret_file import secret
from collector.tls_client import tls_context
from telemetry.errors import ConfigError, Permanent, Transient

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Config(Channel, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the notifier ``smtp``."""

    host: Annotated[str, Meta(description="mail server, a name or an address")] = "localhost"
    port: Annotated[int, Meta(description="its port", ge=1, le=65535)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="starttls, tls (from the first byte), or none, that only to this host itself"),
    ] = "starttls"
    user: Annotated[str, Meta(description="user name, or empty for no login")] = ""
    password_file: Annotated[str, Meta(description="file with the password, mode 0600")] = ""
    sender: Annotated[str, Meta(description="address that mails are from")] = "tengwang@localhost"
    ca_file: Annotated[str, Meta(description="PEM file of the server's CA; empty: those of the system")] = ""


class Smtp:
    def __init__(self, config: Config, context: NotifierContext) -> None:
        if config.security == "none" and config.host not in LOCAL:
            raise ConfigError.one("notifiers: smtp: security", "without TLS mail goes to this host itself only")
        if "@" not in config.sender or any(c.isspace() or not c.isprintable() for c in config.sender):
            raise ConfigError.one("notifiers: smtp: sender", f"{config.sender!r} is not a mail address")
        self._config = config
        self._password = secret(context.home, config.password_file, "password_file")
        if config.user and not self._password:
            raise ConfigError.one("notifiers: smtp: password_file", "a user needs a password")
        self._tls = tls_context(str(context.home / config.ca_file) if config.ca_file else "")

    def notify(self, message: Message) -> Sent:
        if not message.to.email:
            raise Permanent("no_address", f"{message.to.person} has no mail address in the inventory")
        mail = self._mail(message)
        try:
            server = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise Transient(f"{self._config.host}: {_told(error)}") from error
        try:
            with deadline(self._config.timeout_s, self._socket(server)):
                self._deliver(server, mail, message.to.email)
        except TimeoutError as error:
            raise Transient(f"{self._config.host}: {_told(error)}") from error
        finally:
            server.close()
        return Sent()

    def close(self) -> None:
        """Nothing is kept open."""

    def _connect(self) -> smtplib.SMTP:
        config = self._config
        name = config.sender.rpartition("@")[2]
        if config.security == "tls":
            return smtplib.SMTP_SSL(config.host, config.port, name, timeout=config.timeout_s, context=self._tls)
        return smtplib.SMTP(config.host, config.port, name, timeout=config.timeout_s)

    @staticmethod
    def _socket(server: smtplib.SMTP) -> socket.socket:
        if server.sock is None:
            raise Transient("the mail server closed the connection")
        return server.sock

    def _deliver(self, server: smtplib.SMTP, mail: email.message.EmailMessage, to: str) -> None:
        config = self._config
        try:
            if config.security == "starttls":
                server.starttls(context=self._tls)
            if config.user:
                server.login(config.user, self._password)
            server.send_message(mail, config.sender, [to])
            server.quit()
        except smtplib.SMTPServerDisconnected as error:
            raise Transient(f"{config.host}: {_told(error)}") from error
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            self._judge(code, text, error)
        except smtplib.SMTPAuthenticationError as error:
            raise Transient(f"{config.host} refuses the login: {error.smtp_code}") from error
        except smtplib.SMTPResponseException as error:
            self._judge(error.smtp_code, error.smtp_error, error)
        except smtplib.SMTPNotSupportedError as error:
            raise Transient(f"{config.host}: {error}") from error
        except (OSError, ssl.SSLError, smtplib.SMTPException, ValueError) as error:
            raise Transient(f"{config.host}: {_told(error)}") from error

    def _judge(self, code: int, text: bytes | str, error: Exception) -> None:
        """RFC 5321, 4.2.1: 4yz may pass, 5yz will not."""
        told = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        if 500 <= code < 600:
            raise Permanent("refused", f"{self._config.host}: {code} {told[:200]}") from error
        raise Transient(f"{self._config.host}: {code} {told[:200]}") from error

    def _mail(self, message: Message) -> email.message.EmailMessage:
        mail = email.message.EmailMessage(policy=email.policy.SMTP)
        try:
            mail["From"] = self._config.sender
            mail["To"] = message.to.email
            mail["Subject"] = " ".join(message.subject.split())[:200]
            mail["Date"] = email.utils.formatdate(message.created_ms / 1000)
            mail["Message-ID"] = f"<{message.id}@{self._config.sender.rpartition('@')[2]}>"
            mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answer
            mail["X-Tengwang-Incident"] = message.incident
        except ValueError as error:
            raise Permanent("bad_address", f"{message.to.email!r}: {error}") from error
        mail.set_content(message.text + "\n")
        return mail


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def build(config: Config, context: NotifierContext) -> Smtp:
    return Smtp(config, context)
