"""A host of a running lab: run something on it, start something on it, look at its files."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.lab.topology import Host
from tests.parts import guard


class RunningHost:
    """A namespace of its own; ``directory`` is this host's own folder (all hosts share the file system)."""

    def __init__(self, prefix: str, spec: Host, directory: Path) -> None:
        self.spec = spec
        self.name = spec.name
        self.namespace = f"{prefix}-{spec.name}"
        self.directory = directory
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        directory.mkdir(parents=True)

    def command(self, words: Sequence[str | Path]) -> list[str]:
        """The same command, inside this host: its network, its /etc files and its host name."""
        text = f"hostname {shlex.quote(self.name)}; exec {shlex.join(map(str, words))}"
        return ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "sh", "-c", text]

    def run(
        self, *words: str | Path, check: bool = True, timeout: float = 60.0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end. Raises RuntimeError with all that it said where it fails (unless ``check`` is off)."""
        done = subprocess.run(
            self.command(words),
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=os.environ | dict(env or {}),
        )
        if check and done.returncode:
            said = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
            raise RuntimeError(f"{self.name}: {shlex.join(map(str, words))} -> {done.returncode}\n{said}")
        return done

    def start(self, name: str, *words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start and keep running under a name; what it prints goes to ``log(name)``."""
        process = guard.start(
            self.command(words), self.directory / f"{name}.log", os.environ | dict(env or {}), self.directory
        )
        self.running[name] = process
        return process

    def stop(self, name: str) -> int:
        return guard.stop(self.running.pop(name))

    def kill(self, name: str) -> None:
        """kill -9"""
        guard.kill(self.running.pop(name))

    def alive(self, name: str) -> bool:
        return name in self.running and self.running[name].poll() is None

    def log(self, name: str) -> str:
        file = self.directory / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def until(self, what: str, test: Callable[[], bool], name: str = "", seconds: float = 20.0) -> None:
        """Wait until ``test`` holds. Raises TimeoutError, or RuntimeError where the program ``name`` has ended."""
        deadline = time.monotonic() + seconds
        while not test():
            if name and not self.alive(name):
                raise RuntimeError(f"{self.name}: {name} has ended\n{self.log(name)[-3000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}: not {what} after {seconds:.0f} s\n{self.log(name)[-3000:]}")
            time.sleep(0.05)

    def listens(self, port: int, kind: str = "tcp") -> bool:
        """Does anything listen on this port here?"""
        flag = "-t" if kind == "tcp" else "-u"
        listed = self.run("ss", "-Hln", flag, f"sport = :{port}").stdout
        return bool(listed.strip())
