"""NetFlow v5, v9 and IPFIX that network devices export to this host: over UDP on IPv6 and IPv4, IPFIX over TCP too.

Only registered devices and those named in ``exporters`` are heard (``agent/exporters.py``). Records are decoded in
``agent/decoders/flow_exports.py``, gaps and clocks watched in ``agent/export_watch.py``. Templates are kept over a
restart, so that nothing waits for the exporter to announce them again.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated

import msgspec

from agent import export_socket
from agent.decoders import exported_flows, flow_exports
from agent.decoders.exported_flows import Source
from agent.decoders.flow_exports import Head
from agent.decoders.flow_templates import Rows
from agent.export_options import Allowance, Receiving
from agent.export_socket import ExportSockets, Peer
from agent.export_watch import Domain, Watch
from agent.exporters import Exporter, Exporters
from agent.home import write_private
from agent.input import Context
from agent.losses import Losses
from telemetry.errors import Permanent

NAME = "netflow"
PROTOCOLS = {5: "netflow5", 9: "netflow9", 10: "ipfix"}
TICK_S = 1.0
SAVE_S = 10.0
MAX_STREAMS = 256
IDLE_S = 600.0
"""A TCP connection that says nothing for so long is closed."""
CHUNK = 65_536

Key = tuple[str, int, int, int]
"""Address in hexadecimal, port, version, domain."""


class Config(Receiving, frozen=True, forbid_unknown_fields=True, kw_only=True):
    listen: Annotated[
        tuple[str, ...], msgspec.Meta(description='UDP addresses and ports; "[::]" takes IPv4 too, where the host can')
    ] = ("[::]:2055", "[::]:4739")
    tcp: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="TCP addresses and ports for IPFIX, usually 4739; none: no TCP"),
    ] = ()
    wait: Annotated[
        float, msgspec.Meta(description="Seconds that records may wait for their template", ge=1, le=3600)
    ] = 300.0
    clock: Annotated[
        float, msgspec.Meta(description="Seconds that an exporter's clock may be wrong before it is flagged", ge=1.5)
    ] = 5.0


def build(config: Config, context: Context) -> NetflowInput:
    """Raises ConfigError where an address can not be read."""
    export_socket.check(NAME, (*config.listen, *config.tcp))
    return NetflowInput(config, context)


class NetflowInput:
    """Emits ``tengwang.flow`` events, and ``tengwang.exporter`` events about who sends them."""

    interval = 0.0

    def __init__(self, config: Config, context: Context) -> None:
        self._config, self._context = config, context
        self._losses = Losses(NAME, context)
        self._exporters = Exporters(NAME, config.exporters, config.sampling, context)
        self._watch = Watch(NAME, context, self._losses, config.max_domains, config.clock, config.wait)
        self._sockets = ExportSockets(config.listen, config.buffer, context, self._losses, self._datagram)
        self._allowed = Allowance(config.max_records, context.clock)
        self._streams: set[asyncio.Task[None]] = set()
        self._streams_made = 0
        self._file = context.state / "templates.json"
        self._saved_at = float("-inf")
        self._saved = self._load()
        self._received = self._read = 0
        self.ports: tuple[int, ...] = ()
        """TCP ports that are listened on."""

    @property
    def sockets(self) -> ExportSockets:
        return self._sockets

    async def collect(self) -> None:
        """Until cancelled. Raises Blind where an address can not be listened on."""
        listeners: list[socket.socket] = []
        try:
            self._sockets.start()
            for text in self._config.tcp:
                listeners.append(export_socket.listening(text))
            self.ports = tuple(one.getsockname()[1] for one in listeners)
            accepting = [asyncio.ensure_future(self._accept(one)) for one in listeners]
            try:
                while True:
                    await self._context.clock.sleep(TICK_S)
                    self.tick()
            finally:
                for task in (*accepting, *self._streams):
                    task.cancel()
                await asyncio.gather(*accepting, *self._streams, return_exceptions=True)
        finally:
            self._sockets.stop()
            for one in listeners:
                one.close()

    def tick(self) -> None:
        """What is done each second."""
        now = self._context.clock.monotonic()
        self._watch.dropped(self._sockets.tick())
        self._watch.tick(now)
        for made in self._exporters.tell():
            self._context.emit(made)
        self._count()
        self._losses.tell()
        if now - self._saved_at >= SAVE_S:
            self._saved_at = now
            self._save()

    def close(self) -> None:
        """What has arrived is still told."""
        self._watch.dropped(self._sockets.close())
        self._watch.flush()
        for made in self._exporters.tell(at_once=True):
            self._context.emit(made)
        self._count()
        self._losses.tell(at_once=True)
        self._save()

    def _count(self) -> None:
        report = self._context.report
        if self._received:
            report.count("tengwang_exports_received_total", self._received, input=NAME)
        if self._read:
            report.count("tengwang_exports_records_total", self._read, input=NAME)
        self._received = self._read = 0

    def _datagram(self, data: bytes, peer: Peer) -> None:
        exporter = self._exporters.find(peer[0])
        if exporter is None:
            return
        self._received += 1
        try:
            head = flow_exports.peek(data)
        except Permanent as error:
            self._refuse(error.reason)
            return
        key = (peer[0], peer[1], head.version, head.domain)
        known = len(self._watch)
        held = self._watch.get(key, exporter, head.domain)
        if len(self._watch) != known and head.version != 5:
            rows = self._saved.pop((peer[0].hex(), peer[1], head.version, head.domain), None)
            if rows:
                held.session.load(rows)
        self._message(data, held)

    def _message(self, data: bytes, held: Domain, withdrawable: bool = False) -> None:
        session, clock = held.session, self._context.clock
        try:
            made = flow_exports.decode(data, session.templates, withdrawable)
        except Permanent as error:
            session.malformed += 1
            self._refuse(error.reason)
            return
        session.protocol = PROTOCOLS[made.head.version]
        session.see(made, clock.monotonic(), clock.now_ms())
        for reason in made.malformed:
            self._refuse(reason)
        for record in made.records:
            self._tell(record, made.head, held)
        for head, waiting in session.ready():
            template = session.templates.get(waiting.number)
            late = flow_exports.Datagram(head, [], [], [], [], 0)
            if template is not None:
                try:
                    flow_exports.read_set(waiting.data, template, late)
                except Permanent as error:
                    session.malformed += 1
                    self._refuse(error.reason)
            for options in late.options:
                session.sampling.learn(options)
            for record in late.records:
                self._tell(record, head, held)

    def _tell(self, record: dict[str, int | bytes], head: Head, held: Domain) -> None:
        session, exporter = held.session, held.exporter
        session.records += 1
        self._read += 1
        if not self._allowed.take():
            self._losses.note(1)
            return
        session.rate, session.rate_source = session.sampling.of(record, head, exporter.rate)
        shift = -session.skew_ms if session.flagged else 0
        source = Source(
            exporter.address, exporter.device, session.protocol, held.number, session.rate, session.rate_source, shift
        )
        try:
            for made in exported_flows.events(record, head, source, session.sampling.boot_ms):
                self._context.emit(made)
        except Permanent as error:
            self._refuse(error.reason)

    def _refuse(self, reason: str) -> None:
        self._context.report.count("tengwang_input_refused_total", input=NAME, reason=reason)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, peer = await loop.sock_accept(listener)
            exporter = self._exporters.find(export_socket.packed(peer[0]))
            if exporter is None or len(self._streams) >= MAX_STREAMS:
                if exporter is not None:
                    self._refuse("too_many_connections")
                connection.close()
                continue
            connection.setblocking(False)
            task = asyncio.ensure_future(self._stream(connection, exporter))
            self._streams.add(task)
            task.add_done_callback(self._streams.discard)

    async def _stream(self, connection: socket.socket, exporter: Exporter) -> None:
        """One IPFIX connection: its templates live as long as it does (RFC 7011 10.4)."""
        loop = asyncio.get_running_loop()
        self._streams_made += 1
        number, buffer = self._streams_made, bytearray()
        domains: set[tuple[str, int, int]] = set()
        try:
            while data := await asyncio.wait_for(loop.sock_recv(connection, CHUNK), IDLE_S):
                buffer += data
                for message in flow_exports.messages(buffer):
                    self._received += 1
                    key = ("tcp", number, flow_exports.peek(message).domain)
                    if len(domains) < self._config.max_domains:
                        domains.add(key)
                    self._message(message, self._watch.get(key, exporter, key[2]), withdrawable=True)
        except Permanent as error:
            self._refuse(error.reason)
        except (OSError, TimeoutError):
            pass  # the exporter will come again
        finally:
            connection.close()
            for key in domains:
                self._watch.remove(key)

    def _load(self) -> dict[Key, Rows]:
        try:
            rows = msgspec.json.decode(self._file.read_bytes(), type=list[tuple[str, int, int, int, Rows]])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            self._context.report.warn("netflow templates", f"{self._file} is damaged: {error}")
            return {}
        return {(host, port, version, domain): kept for host, port, version, domain, kept in rows}

    def _save(self) -> None:
        changed = False
        rows = []
        for key, held in self._watch.items():
            if not isinstance(key, tuple) or key[0] == "tcp" or not len(held.session.templates):
                continue
            changed |= held.session.templates.changed
            held.session.templates.changed = False
            rows.append((key[0].hex(), *key[1:], held.session.templates.dump()))
        if not changed:
            return
        # those of exporters that have not spoken since the start are kept on
        rows += [(*key, saved) for key, saved in self._saved.items()]
        try:
            write_private(self._file, msgspec.json.encode(rows[: self._config.max_domains]))
        except OSError as error:
            self._context.report.warn("netflow templates", f"{self._file} can not be written: {error.strerror}")
