"""A real collector in this process, and an agent's side of the wire to talk to it over real TLS."""

from __future__ import annotations

import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from collector.ca import new_key
from collector.config import Agents, CollectorConfig, Console, load
from collector.home import Home
from collector.serve import Collector
from telemetry import wire
from telemetry.clock import Clock, SystemClock
from telemetry.enrol import ENROL_PATH, EVENTS_PATH, EnrolRequest, Host, Identity
from telemetry.event import Event, event
from telemetry.report import Report

INVENTORY = """
units:
  - {id: city, name: 示例市, level: city}
  - {id: bureau, name: 示例局, level: county, parent: city}
zones:
  - {id: dmz, name: 互联网接入区}
prefixes:
  - {prefix: "2001:db8:1::/48", unit: bureau, zone: dmz}
"""


def csr(name: str = "whatever") -> tuple[str, bytes]:
    """A certificate request and its key, both PEM."""
    key, pem = new_key()
    request = x509.CertificateSigningRequestBuilder(
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode(), pem


def host(number: int = 1, macs: tuple[str, ...] | None = None) -> Host:
    return Host(f"{number:032x}", f"host{number}", (f"02:00:00:00:00:{number:02x}",) if macs is None else macs)


@dataclass
class AgentSide:
    """One enrolled agent."""

    identity: Identity
    key: bytes
    directory: Path
    base: str
    instance: str = "run-1"

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.identity.ca)
        path = self.directory / f"{self.identity.agent}.pem"
        path.write_bytes(self.key + self.identity.certificate.encode())
        context.load_cert_chain(path)
        return context

    async def send(
        self, records: list[tuple[int, Event | bytes]], epoch: int = 1, **header: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        encoded = [(s, r if isinstance(r, bytes) else msgspec.json.encode(r)) for s, r in records]
        made = wire.Header(v=1, agent=self.identity.agent, epoch=epoch, count=len(records), instance=self.instance)
        return await self.post(wire.encode(msgspec.structs.replace(made, **header), encoded))

    async def post(
        self, body: bytes, path: str = EVENTS_PATH, content_type: str = wire.CONTENT_TYPE
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self.base + path, data=io.BytesIO(body), ssl=self.context(), headers={"Content-Type": content_type}
            ) as answer,
        ):
            return answer.status, await answer.json(), answer.headers.copy()

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.base + path, ssl=self.context(), headers=headers) as answer,
        ):
            return answer.status, await answer.read(), answer.headers.copy()


@dataclass
class Running:
    collector: Collector
    directory: Path
    base: str

    def ca_only(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.collector.services.authority.pem)

    def token(self, unit: str = "bureau", uses: int = 1, ttl_s: int = 3600) -> str:
        return str(self.collector.services.registry.create_enrol_token(unit, ttl_s, uses, "test"))

    async def try_enrol(self, token: str, who: Host, request: str) -> tuple[int, bytes]:
        body = msgspec.json.encode(EnrolRequest(token, request, who, "0.1.0"))
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.base + ENROL_PATH, data=body, ssl=self.ca_only()) as answer,
        ):
            return answer.status, await answer.read()

    async def enrol(self, who: Host | None = None, token: str = "") -> AgentSide:
        request, key = csr()
        status, body = await self.try_enrol(token or self.token(), who or host(), request)
        assert status == 200, body
        return AgentSide(msgspec.json.decode(body, type=Identity), key, self.directory, self.base)


@contextlib.asynccontextmanager
async def collector(
    directory: Path, loopback: str = "[::1]", clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Running]:
    """A collector on free ports of one loopback address, with a small inventory."""
    clock = clock or SystemClock()
    inventory = directory / "inventory"
    inventory.mkdir(exist_ok=True)
    (inventory / "units.yml").write_text(INVENTORY, encoding="utf-8")
    config = msgspec.structs.replace(
        load(None), console=Console(listen=(f"{loopback}:0",)), agents=Agents(listen=(f"{loopback}:0",)), **changes
    )
    assert isinstance(config, CollectorConfig)
    made = Collector(Home(directory), config, clock, Report(clock))
    try:
        await made.start()
        yield Running(made, directory, made.agent_urls[0])
    finally:
        await made.stop()


def flow(at_ms: int, source: str = "2001:db8:1::7") -> Event:
    made = event(at_ms, "tengwang.flow", "flow")
    made.update({"source.ip": source, "destination.ip": "2001:db8::1", "network.type": "ipv6", "network.bytes": 1500})
    return made
