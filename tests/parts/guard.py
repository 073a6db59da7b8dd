"""Nothing that a test started outlives it, also when the test program is killed with -9.

One guard process stands beside each test program and reads a pipe from it. It is told which process groups were
started (``+ID``) and ended (``-ID``), and what to run at the end (``!JSON list``; ``~JSON list`` takes it back). When
the pipe closes, for whatever reason, it kills the groups that are left and runs the commands.

PR_SET_PDEATHSIG was tried first: it fires when the *thread* that forked ends, so a server restarted from a worker
thread died with that thread, and it is cleared for programs that change their user.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_guards: dict[int, int] = {}
"""The pipe to the guard, by process id: a forked child starts a guard of its own."""


def start(
    command: Sequence[str | Path],
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program as the head of its own process group, watched. Output is appended to ``log`` (else dropped)."""
    with open(log or os.devnull, "ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=stdin,
            stdout=output if stdout is None else stdout,
            stderr=output,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    _tell(f"+{process.pid}")
    return process


def stop(process: subprocess.Popen[bytes], sig: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
    """Signal the whole group and wait; what is still there after ``seconds`` is killed. Returns the exit code."""
    _signal(process.pid, sig)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal(process.pid, signal.SIGKILL)
        code = process.wait(30)
    _signal(process.pid, signal.SIGKILL)
    _tell(f"-{process.pid}")
    return code


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 of the whole group."""
    stop(process, signal.SIGKILL)


def at_end(command: Sequence[str]) -> None:
    """Run this when the test program has ended, however it ended."""
    _tell("!" + json.dumps(list(command)))


def not_at_end(command: Sequence[str]) -> None:
    """It was done already."""
    _tell("~" + json.dumps(list(command)))


def _signal(group: int, sig: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sig)


def _tell(line: str) -> None:
    pipe = _guards.get(os.getpid())
    if pipe is None:
        read_end, pipe = os.pipe()
        guard = subprocess.Popen([sys.executable, "-S", __file__], stdin=read_end, start_new_session=True)
        guard.returncode = 0  # it outlives this program by design, so nobody waits for it
        os.close(read_end)
        _guards[os.getpid()] = pipe
    os.write(pipe, line.encode() + b"\n")


def _watch() -> None:
    groups: set[int] = set()
    commands: list[list[str]] = []
    for line in sys.stdin:
        sign, rest = line[0], line[1:].strip()
        if sign == "+":
            groups.add(int(rest))
        elif sign == "-":
            groups.discard(int(rest))
        elif sign == "!":
            commands.append(json.loads(rest))
        elif json.loads(rest) in commands:
            commands.remove(json.loads(rest))
    for group in groups:
        _signal(group, signal.SIGKILL)
    for command in commands:
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    _watch()
