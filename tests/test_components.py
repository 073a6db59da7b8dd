"""One visit to every component of every kind: a newcomer is held to the shape without a test being edited."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import typing
from pathlib import Path

import msgspec
import pytest

from agent.input import Blind, Context, Input
from telemetry.clock import SystemClock
from telemetry.component import names
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate
from telemetry.work import Work

KINDS = ("agent.actions", "agent.inputs", "collector.enrichers", "collector.notifiers", "collector.stores")
COMPONENTS = [f"{kind}.{name}" for kind in KINDS for name in names(kind)]
INPUTS = names("agent.inputs")


@pytest.mark.parametrize("path", COMPONENTS)
def test_it_has_a_docstring_a_config_and_a_build(path: str) -> None:
    module = importlib.import_module(path)
    assert module.__doc__
    assert issubclass(module.Config, msgspec.Struct)
    assert module.Config.__struct_config__.frozen
    assert module.Config.__struct_config__.forbid_unknown_fields
    assert callable(module.build)


@pytest.mark.parametrize("path", COMPONENTS)
def test_every_option_is_described(path: str) -> None:
    config = importlib.import_module(path).Config
    hints = typing.get_type_hints(config, include_extras=True)
    undescribed = [
        field.name
        for field in msgspec.structs.fields(config)
        if not any(m.description for m in getattr(hints[field.name], "__metadata__", ()) if isinstance(m, msgspec.Meta))
    ]
    assert undescribed == []


@pytest.mark.parametrize("path", COMPONENTS)
def test_its_defaults_are_within_its_own_bounds(path: str) -> None:
    config = importlib.import_module(path).Config
    required = [f.name for f in msgspec.structs.fields(config) if f.required]
    assert required == []
    assert msgspec.convert(msgspec.to_builtins(config()), config) == config()


def made(name: str, folder: Path, emitted: list[Event]) -> Input:
    module = importlib.import_module(f"agent.inputs.{name}")
    context = Context(
        clock=SystemClock(), report=Report(), emit=emitted.append, work=lambda: Work(version="test"), state=folder
    )
    built: Input = module.build(module.Config(), context)
    return built


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_closes_without_having_started(name: str, tmp_path: Path) -> None:
    with contextlib.suppress(Blind):
        made(name, tmp_path, []).close()


@pytest.mark.parametrize("name", INPUTS)
async def test_an_input_starts_stops_and_emits_only_valid_events(name: str, tmp_path: Path) -> None:
    emitted: list[Event] = []
    try:
        source = made(name, tmp_path, emitted)
    except Blind as blind:
        assert blind.advice
        return
    try:
        await asyncio.wait_for(source.collect(), timeout=1.5)
    except TimeoutError:
        pass
    finally:
        source.close()
    for event in emitted:
        validate(event)
