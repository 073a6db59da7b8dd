"""An SMSC that is not ours: jSMPP's server (Java), on one loopback address; what it takes is read as JSON lines.

jSMPP and the compiler (ECJ, which runs on a JRE) come from Maven Central the first time; the program is Smsc.java.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.parts import guard

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
SOURCE = Path(__file__).with_name("Smsc.java")
ARTIFACTS = ("org.jsmpp:jsmpp:3.0.1", "org.slf4j:slf4j-api:1.7.36", "org.eclipse.jdt:ecj:3.37.0")
PASSWORD = "secret"


def ensure() -> Path:
    """A folder with the jars and the compiled program. Raises RuntimeError with what failed."""
    home = TOOLS / f"smsc-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]}"
    if (home / "done").exists():
        return home
    home.mkdir(parents=True, exist_ok=True)
    for artifact in ARTIFACTS:
        name = "-".join(artifact.split(":")[1:]) + ".jar"
        if not (home / name).exists():
            _run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={home}")
    compiler = next(home.glob("ecj-*.jar"))
    _run("java", "-jar", str(compiler), "-17", "-nowarn", "-cp", _jars(home), "-d", str(home), str(SOURCE))
    (home / "done").touch()
    for old in TOOLS.glob("smsc-*"):
        if old != home:
            shutil.rmtree(old, ignore_errors=True)
    return home


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout[-2000:]}{done.stderr[-1000:]}")


def _jars(home: Path) -> str:
    return ":".join(str(jar) for jar in sorted(home.glob("*.jar")) if not jar.name.startswith("ecj"))


class Smsc:
    """``taken`` has every submit_sm so far; commands say how it behaves from now on."""

    def __init__(self, host: str, port: int, process: subprocess.Popen[bytes]) -> None:
        self.host, self.port = host, port
        self._process = process
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._lines.put(json.loads(line))

    def lines(self) -> list[dict[str, Any]]:
        with contextlib.suppress(queue.Empty):
            while True:
                self._seen.append(self._lines.get_nowait())
        return self._seen

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "octets" in line and "id" in line]

    def wait(self, key: str, count: int = 1, seconds: float = 15.0) -> list[dict[str, Any]]:
        """At least so many lines with this key."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = [line for line in self.lines() if key in line]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"no {count} lines with {key!r} in {seconds} s: {self._seen}")

    def command(self, text: str) -> None:
        assert self._process.stdin is not None
        before = sum("done" in line for line in self.lines())
        self._process.stdin.write(text.encode() + b"\n")
        self._process.stdin.flush()
        self.wait("done", before + 1)

    def close(self) -> None:
        guard.stop(self._process, signal.SIGKILL)
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def text(line: dict[str, Any]) -> str:
    """The characters of one submit_sm, without the header of a part."""
    octets = base64.b64decode(line["octets"])
    if line["esm"] & 0x40:
        octets = octets[octets[0] + 1 :]
    return octets.decode("utf-16-be")


@contextlib.contextmanager
def start(host: str = "::1", port: int = 0) -> Iterator[Smsc]:
    home = ensure()
    if not port:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
    command = ["java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{_jars(home)}:{home}"]
    process = guard.start([*command, "Smsc", str(port), host], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    smsc = Smsc(host, port, process)
    try:
        smsc.wait("ready", seconds=60)
        yield smsc
    finally:
        smsc.close()
