"""The running agent: puts spool, pipeline, uplink and inputs together, tells of itself, and stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Callable

from agent import config, identity, renewal, responder, status, tls
from agent.bounded_file import BoundedFile
from agent.home import Home
from agent.host_identity import this_host
from agent.pipeline import Pipeline
from agent.spool import Spool
from agent.supervise import Supervisor
from agent.systemd import Notifier
from agent.uplink import Uplink
from agent.work_file import WorkFile
from telemetry import __version__, ledger
from telemetry.clock import Clock
from telemetry.errors import ConfigError
from telemetry.event import Event, event
from telemetry.report import Report

DAY = 86_400
MB = 1024 * 1024
QUARANTINE_BYTES = 4 * MB
STEP_MS = 2000
"""A wall clock that moves so much more or less than the monotonic one in one round was set by somebody."""
TICK = 1.0
DISK_SECONDS = 5.0


class Program:
    """One run. ``settings`` and ``enrolled`` are read; ``home`` is locked."""

    def __init__(
        self, home: Home, settings: config.Settings, enrolled: identity.Enrolled, clock: Clock, report: Report
    ) -> None:
        """Raises OSError, ConfigError."""
        given = settings.config
        self._home, self._settings, self._enrolled = home, settings, enrolled
        self._clock, self._report = clock, report
        self.spool = Spool(
            home.spool,
            clock,
            report,
            max_bytes=given.spool.max_mb * MB,
            max_age=given.spool.max_age_days * DAY,
            agent=enrolled.agent,
        )
        self._work = WorkFile(home.work, report)
        self.uplink = Uplink(
            self.spool,
            given.uplink.collectors or enrolled.collectors,
            lambda: tls.client_context(home),
            enrolled.agent,
            secrets.token_hex(8),
            clock,
            report,
            BoundedFile(home.quarantine, QUARANTINE_BYTES),
            take_work=self._work.take,
            work_version=self._work.current().version,
            take_orders=lambda given: self.orders.take(given),
            orders_seconds=given.actions.poll_seconds,
            timeout=given.uplink.timeout,
            batch_records=given.uplink.batch_records,
            batch_bytes=given.uplink.batch_kb * 1024,
            linger=given.uplink.linger_seconds,
            work_seconds=given.uplink.work_seconds,
            max_backoff=given.uplink.max_backoff_seconds,
        )
        self.pipeline = Pipeline(
            self.spool,
            clock,
            report,
            BoundedFile(home.aside, MB),
            flush_seconds=given.pipeline.flush_seconds,
            flush_events=given.pipeline.flush_events,
            buffer_events=given.pipeline.buffer_events,
            buffer_bytes=given.pipeline.buffer_mb * MB,
            urgent=self.uplink.wake,
            heard=self.uplink.heard,
        )
        self.supervisor = Supervisor(
            settings.inputs, home, clock, report, self.pipeline.emit, lambda: self._work.current()
        )
        self.orders = responder.build(
            home,
            given.actions,
            enrolled.agent,
            settings.inputs,
            given.uplink.collectors or enrolled.collectors,
            clock,
            report,
            self.pipeline.emit,
            self._work.current,
        )
        self._renewal = renewal.Renewal(home, enrolled, clock, report, self.uplink.renewed)
        self._cpu = status.CpuShare(clock.monotonic)
        self._share = 0.0
        self._started_ms, self._started = clock.now_ms(), clock.monotonic()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises ConfigError, MissingExtra where an input can not start at all."""
        notifier = Notifier()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self.pipeline.start()
        self._tell_start()
        stack = contextlib.AsyncExitStack()
        try:
            await self._listen(stack)
            self.supervisor.start()
            self.orders.start()
            self.uplink.start()
            notifier.ready()
            self._report.info(
                "agent", f"{self._enrolled.name} ({self._enrolled.agent}) runs, unit {self._enrolled.unit}"
            )
            await self._watch(notifier)
        finally:
            notifier.stopping()
            await asyncio.to_thread(self.orders.stop)
            await self.supervisor.stop()
            await stack.aclose()
            self._tell("stop", "event", {"process.uptime": int(self._uptime)})
            await asyncio.to_thread(self.pipeline.stop)
            await asyncio.to_thread(self.uplink.stop)
            self.spool.close()
            self._report.info("stop", "the agent stopped")

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        try:
            server = await status.serve(self._home.socket, self.status)
        except OSError as error:
            self._report.warn("status", f"status can not be asked for in this run: {error.strerror or error}")
        else:
            stack.callback(self._home.socket.unlink, missing_ok=True)
            stack.callback(server.close)
        if text := self._settings.config.metrics_listen:
            from agent import metrics

            try:
                stack.callback(metrics.serve(config.parse_listen(text), self._report, self.status))
            except OSError as error:
                raise ConfigError.one(text, f"metrics can not listen: {error.strerror}", "metrics_listen") from error

    async def _watch(self, notifier: Notifier) -> None:
        wall, mono = self._clock.now_ms(), self._clock.monotonic()
        next_status = mono
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), TICK)
            now_ms, now = self._clock.now_ms(), self._clock.monotonic()
            step = now_ms - wall - round((now - mono) * 1000)
            wall, mono = now_ms, now
            if abs(step) >= STEP_MS:
                self._tell(
                    "clock-step", "event", {"tengwang.time.step": step, "message": f"the clock moved by {step} ms"}
                )
                self._report.warn("clock", f"the wall clock moved by {step} ms")
                self.supervisor.clock_stepped()
            if now >= next_status:
                next_status = now + self._settings.config.pipeline.status_seconds
                self._share = self._cpu.take()
                self._tell_status()
                self.supervisor.tell_again()
                self._renewal.consider()
            if notifier.watchdog_seconds:
                notifier.alive(f"{self.spool.account().spooled} events wait, uplink {self.uplink.state.state}")

    @property
    def _uptime(self) -> float:
        return self._clock.monotonic() - self._started

    def _tell(self, action: str, kind: str, fields: Event) -> None:
        made = event(self._clock.now_ms(), "tengwang.agent", action, kind=kind)
        self.pipeline.emit(made | fields)

    def _tell_start(self) -> None:
        start: Event = {"agent.version": __version__, "host.name": this_host().name}
        self._tell("start", "event", start)
        if not self.spool.clean:
            self._tell("unclean-stop", "event", {"message": "the last run did not end as it should"})

    def _tell_status(self) -> None:
        account = self.spool.account()
        self._tell(
            "status",
            "metric",
            {
                "agent.version": __version__,
                "tengwang.ledger.collected": account.collected,
                "tengwang.ledger.acked": account.acked,
                "tengwang.ledger.spooled": account.spooled,
                "tengwang.ledger.dropped": sum(account.dropped.values()),
                "tengwang.ledger.detail": ledger.encode(account.epochs[-ledger.MAX_TOLD :]),
                "tengwang.input.lost": self._lost,
                "process.uptime": int(self._uptime),
                "process.memory.rss": status.resident(),
                "process.cpu.pct": self._share,
            },
        )

    @property
    def _lost(self) -> int:
        return int(self._report.value("tengwang_agent_lost_total"))

    def status(self) -> status.Status:
        return status.Status(
            running=True,
            agent=self._enrolled.agent,
            name=self._enrolled.name,
            unit=self._enrolled.unit,
            version=__version__,
            home=str(self._home.path),
            ledger=self.spool.account(),
            boot=self.spool.boot,
            started_ms=self._started_ms,
            uptime=round(self._uptime, 1),
            rss=status.resident(),
            cpu=self._share,
            lost=self._lost,
            disk=self.pipeline.trouble,
            uplink=self.uplink.state,
            inputs=self.supervisor.status(),
            certificate_until_ms=self._renewal.enrolled.not_after_ms,
            notices=tuple(self._report.notices())[:20],
        )


def run(home: Home, settings: config.Settings, clock: Clock, report: Report) -> int:
    """Lock the home, check the identity, run to the end. Raises ConfigError, MissingExtra."""
    home.lock()
    try:
        enrolled = identity.read(home)
        identity.check_host(enrolled, this_host(), home)
        asyncio.run(_main(lambda: Program(home, settings, enrolled, clock, report), clock, report))
    finally:
        home.unlock()
    return 0


async def _main(make: Callable[[], Program], clock: Clock, report: Report) -> None:
    """A disk that takes nothing at the start is waited for: the host may boot into a full disk, and it is freed."""
    while True:
        try:
            program = make()
        except OSError as error:
            report.error("spool", f"it can not be opened: {error.strerror or error}; tried again until it can")
            await clock.sleep(DISK_SECONDS)
        else:
            await program.run()
            return
