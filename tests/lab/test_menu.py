"""``make lab`` as a person uses it: it comes up, does what a letter says, and takes everything down at ``q``."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab import network

pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "thc-ipv6", "iproute2"),
    pytest.mark.timeout(120),
]
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """Types letters and reads what comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := self.process.stdout.read(1):
            self.text += piece

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def reads(self, pattern: str, after: int = 0, seconds: float = 60.0) -> str:
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text[after:])):
            assert time.monotonic() < deadline, f"{pattern!r} did not come:\n{self.text}"
            assert self.process.poll() is None, self.text
            time.sleep(0.1)
        return found[0]


@contextmanager
def make_lab() -> Iterator[Terminal]:
    command = [sys.executable, "-u", "-m", "tests.lab"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Terminal(process)
        finally:
            process.kill()


def test_up_a_rogue_router_ledgers_and_down() -> None:
    with make_lab() as terminal:
        link = terminal.reads(r"console: http://127\.0\.0\.1:\d+/login/link/\S+")
        assert "/login/link/" in link
        terminal.reads("q  quit")
        mark = len(terminal.text)
        terminal.type("r")
        terminal.reads("r  stop the rogue router", mark)
        deadline = time.monotonic() + 20
        while "not registered" not in alerts(terminal):
            assert time.monotonic() < deadline, terminal.text
            time.sleep(0.5)
        terminal.type("r")
        mark = len(terminal.text)
        terminal.type("l")
        terminal.reads(r"bureau +collected \d+ = stored \d+ \+ spooled \d+ \+ dropped 0", mark)
        terminal.type("q")
        assert terminal.process.wait(30) == 0
    assert "Traceback" not in terminal.text
    assert not owned_by(terminal.process.pid)


def owned_by(pid: int) -> list[str]:
    """Labs that this process has not taken down."""
    return [file.name for file in network.OWNERS.glob("*") if json.loads(file.read_text())["pid"] == pid]


def alerts(terminal: Terminal) -> str:
    """What the letter e shows."""
    mark = len(terminal.text)
    terminal.type("e")
    terminal.reads("q  quit", mark)
    return terminal.text[mark:].partition("\n\n")[0]
