"""A page as a syslog line (RFC 5424), e.g. for the municipal platform above: UDP, TCP or TLS (RFC 5425, 6587).

MSGID is the kind of message; the page's own id, which is the same for every try, stands in the structured data. UDP
gives no sign of arrival: where it matters use TCP, and there a broken connection is seen at the next message.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import Annotated, Literal

from msgspec import Meta

from collector.deadline import deadline
from collector.notifier import Channel, Message, NotifierContext, Sent
from collector.tls_client import tls_context
from telemetry.clock import iso
from telemetry.errors import ConfigError, Permanent, Transient

SEVERITIES = {"critical": 2, "high": 3, "medium": 4, "low": 5, "informational": 6}
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_UDP = 2048
"""RFC 5424, 6.1: every receiver should take as much."""


class Config(Channel, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the notifier ``syslog``."""

    host: Annotated[str, Meta(description="receiver, a name or an address", max_length=253)] = "localhost"
    port: Annotated[int, Meta(description="its port: 514 by custom, 6514 with TLS", ge=1, le=65535)] = 6514
    transport: Annotated[Literal["udp", "tcp", "tls"], Meta(description="udp, tcp or tls")] = "tls"
    facility: Annotated[int, Meta(description="facility, 0 to 23; 16 is local0", ge=0, le=23)] = 16
    host_name: Annotated[str, Meta(description="HOSTNAME in the line", pattern=r"^[!-~]{1,255}\Z")] = "tengwang"
    ca_file: Annotated[str, Meta(description="PEM file of the receiver's CA; empty: those of the system")] = ""


class Syslog:
    def __init__(self, config: Config, context: NotifierContext) -> None:
        if not config.host:
            raise ConfigError.one("notifiers: syslog: host", "is empty")
        self._config = config
        self._tls = tls_context(str(context.home / config.ca_file) if config.ca_file else "")

    def notify(self, message: Message) -> Sent:
        line = self.line(message)
        try:
            if self._config.transport == "udp":
                self._datagram(line[:MAX_UDP])
            else:
                self._stream(line)
        except UnicodeError as error:
            raise Permanent("bad_host", f"{self._config.host!r} is no host name") from error
        except OSError as error:
            raise Transient(f"{self._config.host}: {type(error).__name__} {error}".strip()) from error
        return Sent()

    def close(self) -> None:
        """Nothing is kept open."""

    def line(self, message: Message) -> bytes:
        """One line without its frame."""
        priority = self._config.facility * 8 + SEVERITIES.get(message.level, 4)
        pairs = {"id": message.id, "incident": message.incident, "to": message.to.person, "level": message.level}
        pairs |= {key: str(value) for key, value in message.data.items() if re.fullmatch(r"[a-z_]{1,32}", key)}
        data = "".join(f' {key}="{_quoted(value)}"' for key, value in pairs.items() if value)
        head = f"<{priority}>1 {iso(message.created_ms)} {self._config.host_name} tengwang - page"
        text = " ".join(message.text.split())
        return f"{head} [page@32473{data}] ".encode() + b"\xef\xbb\xbf" + text.encode("utf-8", "replace")

    def _datagram(self, line: bytes) -> None:
        config = self._config
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, target = found[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.settimeout(config.timeout_s)
            sender.connect(target)
            sender.send(line)

    def _stream(self, line: bytes) -> None:
        """Octet counting (RFC 6587, 3.4.1). The closing is waited for: what was not taken is then an error."""
        config = self._config
        plain = socket.create_connection((config.host, config.port), config.timeout_s)
        with plain, deadline(config.timeout_s, plain):
            if config.transport == "tls":
                with self._tls.wrap_socket(plain, server_hostname=config.host) as secure:
                    secure.sendall(b"%d " % len(line) + line)
                return
            plain.sendall(b"%d " % len(line) + line)
            plain.shutdown(socket.SHUT_WR)
            plain.settimeout(1.0)
            with contextlib.suppress(TimeoutError):  # a receiver that keeps it open; a refusal would have come by now
                plain.recv(1)


def _quoted(value: str) -> str:
    """RFC 5424, 6.3.3."""
    return re.sub(r'(["\\\]])', r"\\\1", "".join(c if c.isprintable() else " " for c in value))[:256]


def build(config: Config, context: NotifierContext) -> Syslog:
    return Syslog(config, context)
