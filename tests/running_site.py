"""A real collector's web application on a port of its own, for tests and screenshots: services, pipeline, listener."""

from __future__ import annotations

import asyncio
import re
import ssl
import types
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collector.config import CollectorConfig, Rules
from collector.home import Home
from collector.login import login_link
from collector.pipeline import Answer, Delivery, Pipeline
from collector.server_tls import OwnCertificate, console_context
from collector.services import Services
from collector.web import application
from collector.wiring import make_operations, make_pipeline, make_services
from telemetry import wire
from telemetry.clock import SystemClock
from telemetry.enrol import EnrolRequest, Host
from telemetry.event import Event
from telemetry.report import Report


class ShiftClock(SystemClock):
    """The real clock, moved by hand."""

    shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


class RunningSite:
    """``async with RunningSite(tmp_path) as site``: ``site.url`` answers."""

    def __init__(
        self,
        root: Path,
        inventory: str = "",
        store: dict[str, Any] | None = None,
        tls: bool = False,
        rules: tuple[Path, ...] = (),
    ) -> None:
        self.clock = ShiftClock()
        config = CollectorConfig(rules=Rules(paths=tuple(map(str, rules))))
        if store:
            config = msgspec.structs.replace(config, store=store)
        home = Home(root)
        home.path.mkdir(parents=True, exist_ok=True)
        if inventory:
            folder = root / "inventory"
            folder.mkdir(exist_ok=True)
            (folder / "all.yml").write_text(inventory, encoding="utf-8")
        self.services: Services = make_services(home, config, self.clock, Report(self.clock))
        self.pipeline: Pipeline = make_pipeline(self.services)
        self.operations = make_operations(self.services)
        self.app = application(self.services)
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.2)
        self._sequence: dict[tuple[str, int], int] = {}
        self.url = ""
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = console_context()
            assert self.services.authority is not None
            own = OwnCertificate(self.services.authority, root / "console", ["127.0.0.1"], self.clock)
            own.load_into(self._context)

    async def __aenter__(self) -> RunningSite:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        self.url = f"{'https' if self._context else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await asyncio.to_thread(self.operations.stop)
        await asyncio.to_thread(self.services.store.close)

    async def settle(self, beats: int = 1) -> None:
        """Let the leader's loop look at what came in: alerts become incidents, and so on."""
        for _ in range(beats):
            await asyncio.to_thread(self.operations.keep)
            await asyncio.to_thread(self.operations.step)

    def link(self) -> str:
        return login_link(self.services, self.url)

    async def enrol(self, name: str, unit: str) -> str:
        """A new agent; returns its id."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "probe")])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        token = self.services.registry.create_enrol_token(unit, 600, 1, "test")
        host = Host(machine_id=f"machine-{name}-0123456789", name=name)
        text = csr.public_bytes(serialization.Encoding.PEM).decode()
        identity = self.services.registry.enrol(EnrolRequest(str(token), text, host, "0.1.0", name), "::1")
        return identity.agent

    async def feed(self, agent: str, events: list[Event], epoch: int = 1, address: str = "2001:db8::1") -> wire.Ack:
        """Send events as this agent, through the real pipeline."""
        record = self.services.registry.agent(agent)
        assert record is not None
        self.services.registry.seen(agent, "one", address)
        first = self._sequence.get((agent, epoch), 0) + 1
        self._sequence[agent, epoch] = first + len(events) - 1
        rows = [(first + i, msgspec.json.encode(event)) for i, event in enumerate(events)]
        header = wire.Header(v=1, agent=agent, epoch=epoch, count=len(rows))
        answer = Answer()
        delivery = Delivery(record, wire.encode(header, rows), len(rows), self.clock.now_ms(), answer)
        await asyncio.to_thread(self.pipeline.process, [delivery])
        return await answer.wait()

    def sequence(self, agent: str, epoch: int = 1) -> int:
        """The highest number that this agent has sent."""
        return self._sequence.get((agent, epoch), 0)


class Browserless:
    """A person with a cookie jar and no browser."""

    def __init__(self, site: RunningSite) -> None:
        self.site = site
        trusted = ssl.create_default_context(cadata=site.services.registry.ca_pem)
        connector = aiohttp.TCPConnector(ssl=trusted)
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), connector=connector)

    async def __aenter__(self) -> Browserless:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        await self.http.close()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.http.get(self.site.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, form: dict[str, str], **headers: str) -> tuple[int, str]:
        async with self.http.post(self.site.url + path, data=form, headers=headers) as answer:
            return answer.status, await answer.text()

    async def enter(self, link: str = "") -> str:
        """Log in by link; returns the page where that leads."""
        async with self.http.get(link or self.site.link()) as answer:
            return await answer.text()

    async def csrf(self, path: str = "/account") -> str:
        """The secret that a form of this page carries."""
        _, text = await self.get(path)
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        return found[1] if found else ""
