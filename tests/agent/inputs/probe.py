"""Runs one agent input until SIGTERM: its events a line each as they come, at the end its counters and footprint."""

from __future__ import annotations

import asyncio
import importlib
import json
import resource
import signal
import sys
import tempfile
from pathlib import Path

import msgspec

from agent.input import Context
from telemetry import work
from telemetry.clock import SystemClock
from telemetry.event import Event
from telemetry.report import Report
from telemetry.validate import validate


def emit(event: Event) -> None:
    validate(event)
    print(json.dumps(event), flush=True)


async def run(name: str, config: str, known: work.Work, report: Report, state: Path) -> None:
    module = importlib.import_module(f"agent.inputs.{name}")
    context = Context(clock=SystemClock(), report=report, emit=emit, work=lambda: known, state=state)
    made = module.build(msgspec.json.decode(config, type=module.Config), context)
    task = asyncio.ensure_future(collect(made))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await asyncio.sleep(0.2)
    print('"ready"', flush=True)
    try:
        await task
    except asyncio.CancelledError:
        pass
    finally:
        made.close()


async def collect(source: object) -> None:
    """Round after round, as the agent's schedule does."""
    while True:
        await source.collect()  # type: ignore[attr-defined]
        await asyncio.sleep(source.interval)  # type: ignore[attr-defined]


def main() -> None:
    name, config, known = sys.argv[1:]
    report = Report()
    with tempfile.TemporaryDirectory() as state:
        asyncio.run(run(name, config, work.decode(known.encode()), report, Path(state)))
    counters = {" ".join([s.name, *(f"{k}={v}" for k, v in s.labels)]): s.value for s in report.series()}
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"counters": counters, "rss": rss, "cpu": used.ru_utime + used.ru_stime}), flush=True)


if __name__ == "__main__":
    main()
