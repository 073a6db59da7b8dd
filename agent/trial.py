"""One input, run once by hand: ``tengwang-agent try``. Its state is kept in a temporary folder and thrown away."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.config import INPUTS
from agent.input import Context, Input
from telemetry import component, config
from telemetry.clock import SystemClock, iso
from telemetry.errors import ConfigError, Permanent
from telemetry.event import TIMESTAMP, Event, Value
from telemetry.fields import BY_NAME, Type
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work

WHERE = "--set"


async def run(kind: str, words: Sequence[str], seconds: float, show: Callable[[Event], None]) -> None:
    """Raises ConfigError (unknown input or option), MissingExtra, Blind, and what ``collect`` raises as Transient."""
    module = component.load(INPUTS, kind, "try")
    given = dict(_option(word) for word in words)
    options, problems = config.convert(config.Document(WHERE, given, {}), given, module.Config)
    if problems:
        raise ConfigError(problems)
    clock = SystemClock()

    def emit(made: Event) -> None:
        try:
            show(validate(made))
        except Permanent as error:
            raise AssertionError(f"the input made something that is no event: {error}") from error

    with tempfile.TemporaryDirectory() as folder:
        context = Context(clock=clock, report=Report(clock), emit=emit, work=Work, state=Path(folder))
        built: Input = module.build(options, context)
        try:
            await _once(built, seconds)
        finally:
            built.close()


async def _once(built: Input, seconds: float) -> None:
    going = asyncio.ensure_future(built.collect())
    try:
        # An input with an interval makes one round, however long that takes; another runs until it is stopped.
        await asyncio.wait({going}, timeout=None if built.interval > 0 else seconds)
        if going.done():
            await going
    finally:
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await going


def _option(word: str) -> tuple[str, Any]:
    name, equals, text = word.partition("=")
    if not equals or not name.strip():
        raise ConfigError.one(WHERE, f"{word!r} is not OPTION=VALUE", "for example --set 'interval=5'")
    try:
        return name.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), text


def json_line(made: Event) -> str:
    """The event as JSON, with its dates as RFC 3339."""
    shown = {name: iso(value) if _is_date(name) and isinstance(value, int) else value for name, value in made.items()}
    return msgspec.json.encode(shown).decode() + "\n"


def text_line(made: Event) -> str:
    """For a person: when, what, and the fields that say more."""
    head = f"{_date(made[TIMESTAMP])} {made['event.dataset']}/{made['event.action']}"
    skip = {TIMESTAMP, "event.dataset", "event.action", "event.kind"}
    return head + "".join(f" {name}={value}" for name, value in made.items() if name not in skip) + "\n"


def _is_date(name: str) -> bool:
    return name in BY_NAME and BY_NAME[name].type is Type.DATE


def _date(value: Value) -> str:
    return iso(value) if isinstance(value, int) else str(value)
