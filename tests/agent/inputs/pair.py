"""Two network namespaces with one cable between them, and an agent input running in one of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from telemetry.event import Event

ROOT = Path(__file__).parents[3]
HERE, THERE = "here", "there"
CABLE = "cable0"
"""Name of the interface in both namespaces."""
MAC = {HERE: "02:00:00:00:00:01", THERE: "02:00:00:00:00:02"}
_NUMBERS = itertools.count()


class Outcome(NamedTuple):
    """What an input did: its events, the counters of its report, resident bytes and CPU seconds at the end."""

    events: list[Event]
    counters: dict[str, float]
    rss: int
    cpu: float

    def of(self, action: str) -> list[Event]:
        return [event for event in self.events if event["event.action"] == action]


class Probe:
    """A running input; ``stop`` ends it as the agent would, and says what it did."""

    def __init__(self, process: subprocess.Popen[str], early: list[Event]) -> None:
        self._process = process
        self._early = early

    def next_event(self) -> Event:
        """The next event as soon as it is emitted. Raises RuntimeError where the input has ended."""
        assert self._process.stdout
        if self._early:
            return self._early.pop(0)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the input has ended")
        made: Event = json.loads(line)
        return made

    def stop(self, already: Sequence[Event] = ()) -> Outcome:
        self._process.terminate()
        out, err = self._process.communicate(timeout=30)
        lines = [json.loads(line) for line in out.splitlines()]
        assert lines, err
        assert "counters" in lines[-1], err
        last = lines.pop()
        return Outcome([*already, *self._early, *lines], last["counters"], last["rss"], last["cpu"])


class Pair:
    """The namespaces ``here`` and ``there``."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def space(self, side: str) -> str:
        return f"{self.prefix}-{side}"

    def run(self, side: str, *words: str, check: bool = True) -> str:
        """Run a command to its end; what it wrote."""
        command = ["ip", "netns", "exec", self.space(side), *words]
        return subprocess.run(command, check=check, capture_output=True, text=True, timeout=60).stdout

    def start(self, side: str, *words: str) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", self.space(side), *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)

    def ip(self, side: str, words: str) -> None:
        subprocess.run(["ip", "-n", self.space(side), *words.split()], check=True, capture_output=True)

    def probe(self, side: str, input: str, config: dict[str, object] | None = None, work: str = "{}") -> Probe:
        """Start an input and wait until it listens."""
        words = [sys.executable, "-m", "tests.agent.inputs.probe", input, json.dumps(config or {}), work]
        process = self.start(side, *words)
        assert process.stdout
        early = []
        while (line := process.stdout.readline()) not in ('"ready"\n', ""):
            early.append(json.loads(line))
        if not line:
            raise RuntimeError(process.communicate(timeout=10)[1])
        return Probe(process, early)


@contextmanager
def pair() -> Iterator[Pair]:
    """Dual stack: 192.0.2.1 and 2001:db8::1 here, .2 and ::2 there. Nothing speaks until it is told to."""
    made = Pair(f"twa2-{os.getpid()}-{next(_NUMBERS)}")
    try:
        for side in (HERE, THERE):
            subprocess.run(["ip", "netns", "add", made.space(side)], check=True)
            made.run(side, "sysctl", "-qw", "net.ipv6.conf.default.router_solicitations=0")
            made.run(side, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
            made.run(side, "sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=0")
        ends = f"{CABLE} netns {made.space(THERE)} address {MAC[THERE]}"
        made.ip(HERE, f"link add {CABLE} address {MAC[HERE]} type veth peer name {ends}")
        for number, side in enumerate((HERE, THERE), 1):
            made.ip(side, "link set lo up")
            made.ip(side, f"link set {CABLE} up")
            made.ip(side, f"addr add 192.0.2.{number}/24 dev {CABLE}")
            made.ip(side, f"addr add 2001:db8::{number}/64 dev {CABLE} nodad")
        yield made
    finally:
        for side in (HERE, THERE):
            subprocess.run(["ip", "netns", "del", made.space(side)], check=False, capture_output=True)


def program(name: str) -> str:
    """Where a program is, also where PATH has no sbin."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert found, name
    return found
