"""Network devices over SNMP v1, v2c and v3, IPv4 and IPv6: system group, interfaces with 64-bit counters, addresses.

Polls every device of the agent's work at that device's own interval; each has its own socket, its own time bound and
its own back-off, so a dead one delays nobody. With ``target`` set it makes one round at a time instead: that device
and whatever else is due.
"""

from __future__ import annotations

import asyncio
import random
from typing import Annotated, Literal

import msgspec

from agent import secret, snmp_poll, snmp_security
from agent.input import Context
from agent.snmp_security import Security, SnmpFault
from agent.snmp_session import Limits, SnmpSession
from telemetry.errors import ConfigError, Problem
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion

TICK_S = 1.0
SPREAD_S = 10.0
"""First polls are spread over this long (or the device's interval, if shorter), so that they do not come at once."""
MAX_BACKOFF_S = 300.0

Meta = msgspec.Meta
SECRET = "; also file:PATH or env:NAME, so that it does not stand in the process list"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[inputs.snmp]``. The devices come from the collector; ``target`` is for one more, and for ``try``."""

    concurrency: Annotated[int, Meta(ge=1, le=256, description="devices asked at the same time")] = 16
    timeout: Annotated[float, Meta(ge=0.05, le=60, description="seconds to wait for one answer")] = 2.0
    retries: Annotated[int, Meta(ge=0, le=10, description="further attempts after the first")] = 2
    repetitions: Annotated[int, Meta(ge=1, le=100, description="rows asked for in one GETBULK")] = 12
    max_rows: Annotated[int, Meta(ge=1, le=100_000, description="rows taken from one table of one device")] = 4096
    total: Annotated[float, Meta(ge=1, le=600, description="seconds that one poll of one device may take")] = 30.0
    target: Annotated[str, Meta(description="address or name of one device to poll besides the agent's work")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="UDP port of target")] = 161
    interval: Annotated[float, Meta(ge=1, le=86400, description="seconds between polls of target")] = 60
    version: Annotated[SnmpVersion | Literal[1, 3], Meta(description="1, 2c or 3")] = SnmpVersion.V2C
    community: Annotated[str, Meta(description="community, for 1 and 2c" + SECRET)] = ""
    user: Annotated[str, Meta(description="user name, for 3")] = ""
    auth_protocol: Annotated[str, Meta(description="MD5, SHA, SHA224, SHA256, SHA384 or SHA512")] = ""
    auth_key: Annotated[str, Meta(description="authentication passphrase" + SECRET)] = ""
    priv_protocol: Annotated[str, Meta(description="DES, 3DES, AES, AES192, AES256, AES192C or AES256C")] = ""
    priv_key: Annotated[str, Meta(description="privacy passphrase" + SECRET)] = ""
    context: Annotated[str, Meta(description="context name, for 3")] = ""

    def __repr__(self) -> str:
        return f"Config(target={self.target!r}, version={str(self.version)!r}, secrets hidden)"


class Device:
    """What is remembered of one device from poll to poll."""

    def __init__(self, target: SnmpTarget, due: float) -> None:
        self.target = target
        self.due = due
        self.failures = 0
        self.security: Security | None = None
        self.task: asyncio.Task[None] | None = None


class Snmp:
    """Polls devices."""

    def __init__(self, config: Config, context: Context, rng: random.Random) -> None:
        self._context = context
        self._rng = rng
        self._own = own_target(config) if config.target else None
        self._devices: dict[str, Device] = {}
        self._slots = asyncio.Semaphore(config.concurrency)
        self._limits = Limits(
            timeout=config.timeout,
            retries=config.retries,
            repetitions=config.repetitions,
            max_rows=config.max_rows,
            total=config.total,
        )
        self.interval = config.interval if self._own else 0.0

    async def collect(self) -> None:
        """One round where a target is configured; else poll the agent's work until cancelled."""
        try:
            if self._own is not None:
                await asyncio.gather(*self._start_due())
                return
            while True:
                self._start_due()
                await self._context.clock.sleep(TICK_S)
        finally:
            await self._stop(list(self._devices.values()))

    def close(self) -> None:
        """Nothing is held open between rounds."""

    def _start_due(self) -> list[asyncio.Task[None]]:
        now = self._context.clock.monotonic()
        wanted = {target.device: target for target in self._context.work().snmp}
        if self._own is not None:
            wanted[self._own.device] = self._own
        for name in self._devices.keys() - wanted.keys():
            task = self._devices.pop(name).task
            if task is not None:
                task.cancel()
        started = []
        for name, target in wanted.items():
            device = self._devices.get(name)
            if device is None or device.target != target:
                if device is not None and device.task is not None:
                    device.task.cancel()
                first = 0.0 if self._own or len(wanted) == 1 else self._rng.uniform(0, min(SPREAD_S, target.interval))
                device = self._devices[name] = Device(target, now + first)
            if (self._own or device.due <= now) and (device.task is None or device.task.done()):
                device.due = now + target.interval * self._rng.uniform(0.97, 1.03)
                device.task = asyncio.get_running_loop().create_task(self._poll(device), name=f"snmp {name}")
                started.append(device.task)
        return started

    async def _stop(self, devices: list[Device]) -> None:
        tasks = [device.task for device in devices if device.task is not None and not device.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _poll(self, device: Device) -> None:
        """One poll of one device: its events, or the one event that says why not. Never raises for what it answers."""
        clock, report, target = self._context.clock, self._context.report, device.target
        async with self._slots:
            started, now_ms = clock.monotonic(), clock.now_ms()
            session: SnmpSession | None = None
            try:
                if device.security is None:
                    device.security = snmp_security.build(target.credential, clock)
                session = SnmpSession(target, device.security, self._limits, clock, self._rng, self._stray)
                async with session:
                    answers = await snmp_poll.ask(session)
            except Exception as error:  # noqa: BLE001 - one device must never end the polling of the others
                fault = error if isinstance(error, SnmpFault) else SnmpFault("internal", type(error).__name__)
                if fault is not error:
                    report.error("snmp_poll", f"{target.device}: {type(error).__name__} while polling")
                address = session.address if session else target.address
                took = (clock.monotonic() - started) * 1000
                self._context.emit(snmp_poll.failed(target, address, now_ms, took, fault))
                report.count("tengwang_snmp_polls_total", outcome=fault.reason)
                self._back_off(device)
                return
            took = (clock.monotonic() - started) * 1000
            device.failures = 0
            for made in snmp_poll.events(target, session.address, now_ms, took, answers):
                self._context.emit(made)
            report.count("tengwang_snmp_polls_total", outcome="success")
            if "max_rows" in answers.support.values():
                report.count("tengwang_snmp_tables_cut_total")
                report.warn("snmp_max_rows", f"{target.device}: a table has more than {self._limits.max_rows} rows")

    def _back_off(self, device: Device) -> None:
        device.security = None  # it may have been replaced: learn its engine anew
        device.failures += 1
        wait = pause_after(device.target.interval, device.failures)
        device.due = self._context.clock.monotonic() + wait * self._rng.uniform(0.9, 1.1)

    def _stray(self, reason: str) -> None:
        self._context.report.count("tengwang_snmp_answers_refused_total", reason=reason)


def pause_after(interval: float, failures: int) -> float:
    """Seconds to the next poll after so many failures in a row: ever longer, yet soon enough to notice its return."""
    return min(interval * 2.0 ** min(failures - 1, 20), max(MAX_BACKOFF_S, interval))


def own_target(config: Config) -> SnmpTarget:
    """The configured target with its secrets read. Raises ConfigError with every problem."""
    problems: list[Problem] = []
    secrets: dict[str, str] = {}
    for name in ("community", "auth_key", "priv_key"):
        try:
            secrets[name] = secret.read(getattr(config, name))
        except ConfigError as error:
            problems += [Problem("snmp", 0, name, problem.message, problem.hint) for problem in error.problems]
    credential = SnmpCredential(
        version=SnmpVersion(str(config.version)),
        community=secrets.get("community", ""),
        user=config.user,
        auth_protocol=config.auth_protocol,
        auth_key=secrets.get("auth_key", ""),
        priv_protocol=config.priv_protocol,
        priv_key=secrets.get("priv_key", ""),
        context=config.context,
    )
    if not problems:
        problems += [Problem("snmp", 0, "", message) for message in snmp_security.problems(credential)]
    if problems:
        raise ConfigError(problems)
    return SnmpTarget(
        device=config.target,
        name=config.target,
        address=config.target,
        credential=credential,
        port=config.port,
        interval=round(config.interval),
    )


def build(config: Config, context: Context) -> Snmp:
    """Raises ConfigError where ``target`` is set and can not be polled as it is configured."""
    return Snmp(config, context, random.Random())
