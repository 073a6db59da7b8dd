"""What ``agent.toml`` may say. Every option has a default: without the file the agent runs with ``DEFAULT_INPUTS``.

Each ``[[inputs]]`` table names its ``type`` (a module of agent/inputs) and sets that module's options.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import msgspec

from agent.order_policy import Actions
from telemetry import component, config
from telemetry.errors import ConfigError, Problem

INPUTS = "agent.inputs"
DEFAULT_INPUTS = ("host", "ndp", "packets", "snmp", "readiness", "arp", "dhcp", "dns", "sources", "terminals")


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Spool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The disk queue."""

    max_mb: Annotated[
        int, msgspec.Meta(description="Megabytes of disk; beyond it the lowest priority is dropped", ge=8, le=1_000_000)
    ] = 512
    max_age_days: Annotated[
        float, msgspec.Meta(description="Days an event may wait, counted while the agent runs", gt=0, le=3650)
    ] = 7.0


class Pipeline(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Between the inputs and the spool."""

    flush_seconds: Annotated[
        float, msgspec.Meta(description="Longest time in memory only; what a kill -9 can cost", gt=0, le=60)
    ] = 0.5
    flush_events: Annotated[
        int, msgspec.Meta(description="Events that are written without waiting", ge=1, le=10_000)
    ] = 1000
    buffer_events: Annotated[
        int, msgspec.Meta(description="Events kept in memory while the disk takes none", ge=100, le=1_000_000)
    ] = 20_000
    buffer_mb: Annotated[
        int, msgspec.Meta(description="Megabytes kept in memory while the disk takes none", ge=1, le=1024)
    ] = 8
    status_seconds: Annotated[
        float, msgspec.Meta(description="How often the agent tells its ledger and its own use", ge=1, le=3600)
    ] = 10.0


class Uplink(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """To the collectors."""

    collectors: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Base URLs, tried in this order; empty: those told at enrolment"),
    ] = ()
    timeout: Annotated[float, msgspec.Meta(description="Seconds to wait for an answer", ge=1, le=600)] = 30.0
    batch_records: Annotated[int, msgspec.Meta(description="Events in one batch at most", ge=1, le=10_000)] = 2000
    batch_kb: Annotated[
        int, msgspec.Meta(description="Kilobytes in one batch at most, before compression", ge=16, le=16_384)
    ] = 1024
    linger_seconds: Annotated[
        float,
        msgspec.Meta(description="Pause between rounds, so that batches grow; a finding does not wait", ge=0.05, le=60),
    ] = 1.0
    work_seconds: Annotated[
        float, msgspec.Meta(description="How often the collector is asked for new work", ge=1, le=3600)
    ] = 30.0
    max_backoff_seconds: Annotated[
        float, msgspec.Meta(description="Longest wait between tries while a collector is away", ge=1, le=3600)
    ] = 60.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    log_level: Annotated[LogLevel, msgspec.Meta(description="debug, info, warning or error")] = LogLevel.INFO
    metrics_listen: Annotated[
        str,
        msgspec.Meta(
            description='Address for /metrics, like "[::1]:9464"; empty: none. It is plain HTTP, so loopback only'
        ),
    ] = ""
    spool: Annotated[Spool, msgspec.Meta(description="The disk queue")] = Spool()
    pipeline: Annotated[Pipeline, msgspec.Meta(description="Between the inputs and the spool")] = Pipeline()
    uplink: Annotated[Uplink, msgspec.Meta(description="To the collectors")] = Uplink()
    actions: Annotated[
        Actions, msgspec.Meta(description="What a collector may order this agent to do; containment is off by default")
    ] = Actions()
    inputs: Annotated[
        tuple[dict[str, Any], ...],
        msgspec.Meta(description="One table an input: its type, and the options of that type"),
    ] = tuple({"type": name} for name in DEFAULT_INPUTS)


class InputSettings(msgspec.Struct, frozen=True):
    """One configured input: its name in status and state, its module, and that module's Config."""

    name: str
    type: str
    module: ModuleType
    options: Any


class Settings(msgspec.Struct, frozen=True):
    config: Config
    inputs: tuple[InputSettings, ...]


def load(path: Path) -> Settings:
    """Read a file, or take the defaults where there is none. Raises ConfigError with every problem, MissingExtra."""
    document = config.read(path) if path.exists() else config.Document(str(path), {}, {})
    made, problems = config.convert(document, document.data, Config)
    tables: Sequence[Mapping[str, Any]] = made.inputs if made else _tables(document.data)
    inputs: list[InputSettings] = []
    for index, table in enumerate(tables):
        try:
            inputs.append(_input(document, index, table, [given.type for given in inputs]))
        except ConfigError as error:
            problems.extend(error.problems)
    if made is not None:
        problems.extend(_metrics_problems(document, made.metrics_listen))
    if problems or made is None:
        raise ConfigError(problems)
    return Settings(made, tuple(inputs))


def _tables(data: Any) -> list[Mapping[str, Any]]:
    inputs = data.get("inputs", []) if isinstance(data, Mapping) else []
    return [table for table in inputs if isinstance(table, Mapping)] if isinstance(inputs, Sequence) else []


def _input(document: config.Document, index: int, table: Mapping[str, Any], before: Sequence[str]) -> InputSettings:
    key = ("inputs", index)
    kind = table.get("type")
    if not isinstance(kind, str):
        hint = 'for example type = "host"; known: ' + ", ".join(component.names(INPUTS))
        raise ConfigError([Problem(document.path, document.line(key), f"inputs[{index + 1}].type", "is missing", hint)])
    module = component.load(INPUTS, kind, document.path, document.line((*key, "type")))
    rest = {name: value for name, value in table.items() if name != "type"}
    options, problems = config.convert(document, rest, module.Config, key)
    if problems:
        raise ConfigError(problems)
    count = before.count(kind)
    return InputSettings(kind if not count else f"{kind}-{count + 1}", kind, module, options)


def parse_listen(text: str) -> tuple[str, int]:
    """``[::1]:9464`` or ``127.0.0.1:9464``. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address and a port")
    return host, int(port)


def _metrics_problems(document: config.Document, text: str) -> list[Problem]:
    where = document.line(("metrics_listen",))
    if not text:
        return []
    try:
        host, _ = parse_listen(text)
    except ValueError as error:
        return [Problem(document.path, where, "metrics_listen", str(error), 'like "[::1]:9464"')]
    if host not in ("::1", "localhost") and not host.startswith("127."):
        hint = "metrics are plain HTTP without login; let a proxy with TLS listen outside"
        return [Problem(document.path, where, "metrics_listen", "must be a loopback address", hint)]
    return []
