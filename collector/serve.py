"""A running collector: both listeners, the pipeline, and the work that comes back every few seconds.

After ``start`` it never ends by itself: what fails is counted, said, and tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from collector import web as console
from collector.assignment import Assignments
from collector.config import CollectorConfig
from collector.home import Home
from collector.listening import bind, url
from collector.local_names import local_names
from collector.paging import add_channels
from collector.receive import Receiver
from collector.server_tls import OwnCertificate, agent_context, console_context, load_configured
from collector.tls_listener import TlsListener
from collector.wiring import make_operations, make_pipeline, make_services, want_proofs
from telemetry.clock import Clock
from telemetry.errors import Transient
from telemetry.report import Report

SHUTDOWN_S = 5.0
LINGER_S = 2.0
"""How long the rest of a refused body is read, so that the sender sees the answer and not a reset."""
IDLE_S = 75.0
THREADS = 16
"""For what blocks on the store; a slow store must not keep an agent's certificate from being looked at."""


class Collector:
    """``start`` raises ConfigError; ``stop`` may be called also where ``start`` failed half-way."""

    def __init__(self, home: Home, config: CollectorConfig, clock: Clock, report: Report) -> None:
        self._undo = contextlib.AsyncExitStack()
        self._home = home
        self._config = config
        self._report = report
        home.make()
        self._undo.callback(home.lock().close)
        self.services = make_services(home, config, clock, report, self._collectors)
        self._undo.callback(self.services.store.close)
        self.pipeline = make_pipeline(self.services)
        self.operations = make_operations(self.services)
        add_channels(self.services.paging, config, self.services.home, clock, report)
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._certificates: list[OwnCertificate] = []
        self.agent_urls: tuple[str, ...] = ()
        self.console_urls: tuple[str, ...] = ()

    async def start(self) -> None:
        """Bind, read what was saved, listen. Raises ConfigError. The store may be away: then it is waited for."""
        config = self._config
        agents = bind(config.agents.listen, "--agents-listen")
        for bound in agents:
            self._undo.callback(bound.close)
        consoles = bind(config.console.listen, "--listen")
        for bound in consoles:
            self._undo.callback(bound.close)
        executor = ThreadPoolExecutor(THREADS, "work")
        asyncio.get_running_loop().set_default_executor(executor)
        self._undo.push_async_callback(asyncio.to_thread, self.services.paging.outbox.stop)
        self._undo.push_async_callback(asyncio.to_thread, self.operations.stop)
        self._undo.push_async_callback(asyncio.to_thread, self.pipeline.stop)
        if not await self._begin():
            waiting = asyncio.create_task(self._wait_for_store())
            self._undo.push_async_callback(_cancelled, waiting)
        await self._listen_for_agents(agents)
        await self._listen_for_people(consoles)
        self._schedule()

    async def stop(self) -> None:
        """Finish what was taken, save, close. What is not finished was not acknowledged, so agents keep it."""
        with contextlib.suppress(Transient):
            await asyncio.to_thread(self.services.registry.flush)
        await self._undo.aclose()

    def _collectors(self) -> tuple[str, ...]:
        return self._config.agents.collectors

    async def _begin(self) -> bool:
        """Read what was saved, then take events. False where the store is away."""
        services = self.services
        try:
            await asyncio.to_thread(services.ledgers.load)
            services.standing.seen(await asyncio.to_thread(services.store.health))
        except Transient as error:
            services.standing.down(str(error))
            return False
        self.pipeline.start()
        self.operations.start()
        services.paging.outbox.start()
        return True

    async def _wait_for_store(self) -> None:
        """The store was away at the start: everything is there and says so, and it begins when the store comes."""
        services = self.services
        while True:
            await services.clock.sleep(services.standing.retry_s)
            if await self._begin():
                return

    async def _listen_for_agents(self, sockets: list[socket.socket]) -> None:
        services, config = self.services, self._config
        context = agent_context(services.authority)
        names = (*config.agents.names, *local_names())
        self._own_certificate("agents", names).load_into(context)
        receiver = Receiver(
            registry=services.registry,
            pipeline=self.pipeline,
            assignments=Assignments(services.inventory, services.registry, services.clock),
            responses=services.responses,
            standing=services.standing,
            trail=services.trail,
            clock=services.clock,
            report=services.report,
        )
        runner = web.AppRunner(
            receiver.application(),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
        )
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        server = runner.server
        if server is None:
            raise RuntimeError("aiohttp made no server")
        listener = TlsListener(server, context, self._handshake_failed, config.limits.connections)
        self._undo.push_async_callback(listener.close)
        for bound in sockets:
            await listener.listen(bound)
        self.agent_urls = tuple(url(bound, tls=True) for bound in sockets)
        self._every(5, "connections", lambda: self._measure(listener))

    async def _listen_for_people(self, sockets: list[socket.socket]) -> None:
        services, config = self.services, self._config.console
        context = None
        if config.tls:
            context = console_context()
            if config.certificate:
                load_configured(context, self._home.within(config.certificate), self._home.within(config.key))
            else:
                self._own_certificate("console", (*config.names, *local_names())).load_into(context)
        runner = web.AppRunner(
            console.application(services),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=IDLE_S,
        )
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        for bound in sockets:
            await web.SockSite(runner, bound, ssl_context=context).start()
        self.console_urls = tuple(url(bound, config.tls) for bound in sockets)

    def _own_certificate(self, name: str, names: tuple[str, ...]) -> OwnCertificate:
        services = self.services
        made = OwnCertificate(services.authority, services.home / "tls" / name, names, services.clock)
        self._certificates.append(made)
        return made

    def _handshake_failed(self, peer: str, reason: str) -> None:
        """From the event loop; the audit record is written in a thread."""
        self._report.count("tengwang_handshakes_failed_total")
        write = functools.partial(
            self.services.trail.refusal,
            "handshake-failed",
            _word(reason),
            client=peer,
            message=f"the TLS handshake failed: {reason}",
        )
        asyncio.get_running_loop().run_in_executor(None, write)

    def _schedule(self) -> None:
        services, config = self.services, self._config
        self._every(config.inventory.poll_s, "inventory", services.inventory.poll)
        self._every(config.rules.poll_s, "rules", services.detector.reload_if_changed)
        self._every(10, "proofs", lambda: want_proofs(services))
        self._every(config.rules.poll_s, "posture", services.posture.reload_if_changed)
        self._every(5, "registry", services.registry.flush)
        self._every(30, "ledgers", self._hear_of_other_collectors)
        self._every(10, "health", self._look_at_store)
        self._every(5, "paging", services.paging.dead_man.look)
        self._every(3600, "links", services.paging.links.clear)
        self._every(3600, "certificates", self._renew)
        self._every(6 * 3600, "expire", self._expire)
        self._scheduler.start()
        self._undo.callback(self._scheduler.shutdown, wait=False)

    def _every(self, seconds: float, name: str, work: Callable[[], Any]) -> None:
        trigger = IntervalTrigger(seconds=seconds, jitter=min(seconds / 10, 60), timezone="UTC")
        self._scheduler.add_job(self._job(name, work), trigger, id=name, max_instances=1, coalesce=True)

    def _job(self, name: str, work: Callable[[], Any]) -> Callable[[], Any]:
        """In a worker thread; a failure is counted and said, and the next run comes all the same."""

        async def run() -> None:
            try:
                await asyncio.to_thread(work)
            except Transient as error:
                self._report.count("tengwang_job_errors_total", job=name)
                self._report.warn(f"job-{name}", str(error))
            except Exception as error:  # noqa: BLE001 - periodic work must not end for one failure
                self._report.count("tengwang_job_errors_total", job=name)
                self._report.error(f"job-{name}", f"{type(error).__name__}: {error}")

        return run

    def _measure(self, listener: TlsListener) -> None:
        self._report.gauge("tengwang_connections", listener.open)
        self._report.gauge("tengwang_queue_bytes", self.pipeline.waiting_bytes)

    def _hear_of_other_collectors(self) -> None:
        if self.services.registry.others:
            self.services.ledgers.refresh()

    def _look_at_store(self) -> None:
        """While it is down the pipeline asks, at its own pace."""
        services = self.services
        if services.standing.writable:
            try:
                services.standing.seen(services.store.health())
            except Transient as error:
                services.standing.down(str(error))

    def _renew(self) -> None:
        for certificate in self._certificates:
            if certificate.renew():
                self._report.info("certificates", "a server certificate was renewed")

    def _expire(self) -> None:
        dropped = self.services.store.expire(self.services.clock.now_ms())
        if dropped:
            self.services.trail.write("retention", "success", message="dropped: " + ", ".join(dropped))


def _word(reason: str) -> str:
    """One of few words for a counter's label, from OpenSSL's sentence."""
    for needle, word in (
        ("expired", "expired"),
        ("issuer", "foreign_ca"),
        ("self-signed", "foreign_ca"),
        ("self signed", "foreign_ca"),
        ("signature", "foreign_ca"),
        ("purpose", "wrong_purpose"),
        ("too_many", "too_many_connections"),
    ):
        if needle in reason:
            return word
    return "handshake"


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def serve(
    home: Home,
    config: CollectorConfig,
    clock: Clock,
    report: Report,
    stop: asyncio.Event,
    started: Callable[[Collector], Any],
) -> None:
    """Run a collector until ``stop`` is set. Raises ConfigError where it can not start."""
    collector = Collector(home, config, clock, report)
    try:
        await collector.start()
        found = started(collector)
        if asyncio.iscoroutine(found):
            await found
        await stop.wait()
    finally:
        await collector.stop()
