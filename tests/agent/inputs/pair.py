"""Two network namespaces with one cable between them, and an agent input running in one of them."""

from __future__ import annotations

import itertools
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
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
    """A running input; ``stop`` ends it as the agent would, and says what it did.

    What it writes is read all the time, so that it never waits for whoever looks at it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Returns when it listens. Raises RuntimeError with what it said where it ends before."""
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._early: list[Event] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        while (line := self._lines.get(timeout=60)) != '"ready"\n':
            if not line:
                raise RuntimeError(self._end())
            self._early.append(json.loads(line))

    def next_event(self, seconds: float = 60.0) -> Event:
        """The next event as soon as it is emitted. Raises RuntimeError where the input has ended, or none comes."""
        if self._early:
            return self._early.pop(0)
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"no event within {seconds} s") from None
        if not line:
            raise RuntimeError(f"the input has ended: {self._end()}")
        made: Event = json.loads(line)
        return made

    def wait_for(self, seen: list[Event], seconds: float, **wanted: object) -> Event:
        """The next event with these fields (``__`` for a dot); every event read on the way goes to ``seen``."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                made = self.next_event(left)
            except RuntimeError as error:
                raise AssertionError(f"{error}; wanted {wanted}, saw {seen}") from error
            seen.append(made)
            if all(made.get(name.replace("__", ".")) == value for name, value in wanted.items()):
                return made
        raise AssertionError(f"no event with {wanted} within {seconds} s: {seen}")

    def stop(self, already: Sequence[Event] = ()) -> Outcome:
        self._process.terminate()
        err = self._end()
        lines = [json.loads(line) for line in iter(self._lines.get_nowait, "")]
        assert lines, err
        assert "counters" in lines[-1], err
        last = lines.pop()
        return Outcome([*already, *self._early, *lines], last["counters"], last["rss"], last["cpu"])

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _end(self) -> str:
        self._process.wait(timeout=30)
        self._reading.join(timeout=30)
        assert self._process.stdout
        assert self._process.stderr
        with self._process.stdout, self._process.stderr:
            return self._process.stderr.read()


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
        return Probe(self.start(side, *words))


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
