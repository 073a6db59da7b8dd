"""One SMPP session on top of smpplib: over IPv6 too, bounded in time and size, read by a thread of its own.

smpplib connects over IPv4 only, believes any length that the other side states, and has one thread in mind. So this
opens the connection itself, refuses PDUs over ``MAX_PDU``, and pairs answers with questions by sequence number.
Whatever goes wrong ends the session; the notifier binds another one at the next message.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any

from smpplib import client, consts, exceptions, smpp

from collector.deadline import deadline
from collector.smpp_text import canonical
from telemetry.clock import Clock
from telemetry.errors import Transient

MAX_PDU = 65_536
LOG = "smpplib"
logging.getLogger(LOG).setLevel(logging.CRITICAL)  # what matters is raised; the rest would flood a log


class Line(client.Client):  # type: ignore[misc]  # smpplib has no types
    """smpplib's client with a connection that was made elsewhere, and a bound on what it reads."""

    _socket: Any

    def __init__(self, connection: socket.socket, **options: Any) -> None:
        super().__init__("", 0, allow_unknown_opt_params=True, logger_name=LOG, **options)
        self._socket = connection
        self.state = consts.SMPP_CLIENT_STATE_OPEN

    def _recv_exact(self, exact_size: int) -> bytes:
        if not 0 <= exact_size <= MAX_PDU:
            raise exceptions.ConnectionError(f"a PDU of {exact_size} octets")
        read: bytes = super()._recv_exact(exact_size)
        return read


class Session:
    def __init__(
        self,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        enquire_s: float,
        clock: Clock,
        delivered: Callable[[Any], None],
        bind: Mapping[str, str],
    ) -> None:
        self._where, self._tls = (host, port), tls
        self._timeout_s, self._enquire_s = timeout_s, enquire_s
        self._clock = clock
        self._delivered = delivered
        self._bind = bind
        self._line: Line | None = None
        self._sending = threading.Lock()
        self._answers: dict[int, queue.Queue[Any]] = {}
        self._ended = threading.Event()
        self._heard = 0.0
        self._asked = 0.0

    @property
    def alive(self) -> bool:
        return self._line is not None and not self._ended.is_set()

    def bind(self) -> None:
        """Connect, bind, and begin to read. Raises Transient."""
        connection: socket.socket | None = None
        try:
            connection = socket.create_connection(self._where, self._timeout_s)
            connection.settimeout(self._timeout_s)
            with deadline(self._timeout_s * 2, connection):
                if self._tls is not None:
                    connection = self._tls.wrap_socket(connection, server_hostname=self._where[0])
                self._line = Line(connection, timeout=self._timeout_s)
                self._line.bind_transceiver(**self._bind)
        except Exception as error:  # smpplib raises whatever a strange answer leads to
            self._ended.set()
            self._line = None
            if connection is not None:
                connection.close()
            raise Transient(f"{self._where[0]}: no session: {_told(error)}") from error
        self._heard = self._asked = self._clock.monotonic()
        threading.Thread(target=self._read, args=(self._line,), name="smpp", daemon=True).start()

    def submit(self, **fields: Any) -> tuple[int, str]:
        """The status of the gateway's answer, and its id for the message. Raises Transient where none came."""
        line = self._line
        if line is None or self._ended.is_set():
            raise Transient("the session has ended")
        answer: queue.Queue[Any] = queue.Queue(1)
        pdu = smpp.make_pdu("submit_sm", client=line, **fields)
        self._answers[pdu.sequence] = answer
        try:
            self._send(pdu)
            found = answer.get(timeout=self._timeout_s)
        except queue.Empty as error:
            self._end()
            raise Transient(f"{self._where[0]}: no answer in {self._timeout_s:g} s") from error
        finally:
            self._answers.pop(pdu.sequence, None)
        if found is None:
            raise Transient(f"{self._where[0]}: the session ended before the answer")
        given = found.message_id if found.status == consts.SMPP_ESME_ROK else b""
        text = given.decode("latin-1") if isinstance(given, bytes) else str(given or "")
        return int(found.status), canonical(text) if text.strip("\0") else ""

    def close(self) -> None:
        """Unbind where that is possible, and end."""
        if self.alive and self._line is not None:
            with contextlib.suppress(Exception):
                self._send(smpp.make_pdu("unbind", client=self._line))
        self._end()

    def _send(self, pdu: Any) -> None:
        line = self._line
        if line is None:
            raise Transient("the session has ended")
        try:
            with self._sending:
                line.send_pdu(pdu)
        except Exception as error:
            self._end()
            raise Transient(f"{self._where[0]}: {_told(error)}") from error

    def _end(self) -> None:
        """Wake whoever waits. The reading thread closes the connection."""
        self._ended.set()
        for waiting in list(self._answers.values()):
            with contextlib.suppress(queue.Full):
                waiting.put_nowait(None)

    def _read(self, line: Line) -> None:
        connection: Any = line._socket
        try:
            while not self._ended.is_set():
                pending = isinstance(connection, ssl.SSLSocket) and connection.pending()
                if pending or select.select([connection], [], [], min(1.0, self._enquire_s / 2))[0]:
                    with deadline(self._timeout_s, connection):
                        self._take(line, line.read_pdu())
                self._look_alive(line)
        except Exception:  # noqa: BLE001, S110 - a broken or strange session ends; whoever waits is told so
            pass
        finally:
            self._end()
            with self._sending, contextlib.suppress(Exception):
                connection.close()
            line._socket = None
            self._line = None

    def _take(self, line: Line, pdu: Any) -> None:
        self._heard = self._clock.monotonic()
        if pdu.command == "deliver_sm":
            answer = smpp.make_pdu("deliver_sm_resp", client=line)
            answer.sequence = pdu.sequence
            self._send(answer)
            self._delivered(pdu)
        elif pdu.command == "enquire_link":
            answer = smpp.make_pdu("enquire_link_resp", client=line)
            answer.sequence = pdu.sequence
            self._send(answer)
        elif pdu.command == "unbind":
            answer = smpp.make_pdu("unbind_resp", client=line)
            answer.sequence = pdu.sequence
            self._send(answer)
            self._ended.set()
        elif (waiting := self._answers.get(pdu.sequence)) is not None:
            with contextlib.suppress(queue.Full):
                waiting.put_nowait(pdu)

    def _look_alive(self, line: Line) -> None:
        now = self._clock.monotonic()
        if now - self._heard > self._enquire_s + self._timeout_s:
            raise exceptions.ConnectionError("no sign of life")
        if now - max(self._heard, self._asked) >= self._enquire_s:
            self._asked = now
            self._send(smpp.make_pdu("enquire_link", client=line))


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(map(str, error.args))}".strip()
