"""What the agent says of itself: to its collector in status events, and to a person by ``tengwang-agent status``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.spool import Account
from agent.uplink import UplinkState
from telemetry.report import Notice

PAGE = resource.getpagesize()
MAX_REPLY = 16 * 1024 * 1024


class InputStatus(msgspec.Struct, frozen=True):
    """``state``: on, off, blind or failing. ``why`` and ``advice`` where it is not on."""

    name: str
    type: str
    state: str
    why: str = ""
    advice: str = ""
    events: int = 0
    errors: int = 0
    last_ms: int = 0


class Status(msgspec.Struct, frozen=True):
    """``ledger`` says collected = acked + spooled + sum of dropped. Memory in bytes, cpu 1.0 is one core."""

    running: bool
    agent: str
    name: str
    unit: str
    version: str
    home: str
    ledger: Account
    boot: int = 0
    started_ms: int = 0
    uptime: float = 0.0
    rss: int = 0
    cpu: float = 0.0
    lost: int = 0
    disk: str = ""
    uplink: UplinkState | None = None
    inputs: tuple[InputStatus, ...] = ()
    certificate_until_ms: int = 0
    notices: tuple[Notice, ...] = ()


def resident(root: Path = Path("/")) -> int:
    """Resident memory of this process in bytes (proc(5), statm)."""
    return int((root / "proc/self/statm").read_text().split()[1]) * PAGE


class CpuShare:
    """CPU of this process between two calls, 1.0 is one core."""

    def __init__(self, monotonic: Callable[[], float], cpu: Callable[[], float] = time.process_time) -> None:
        self._monotonic, self._cpu = monotonic, cpu
        self._last = (monotonic(), cpu())

    def take(self) -> float:
        now = (self._monotonic(), self._cpu())
        wall, used = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return round(used / wall, 4) if wall > 0 else 0.0


@contextlib.contextmanager
def _short(path: Path):  # type: ignore[no-untyped-def]
    """A name for a socket that fits into 107 bytes, however deep its folder is."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def serve(path: Path, answer: Callable[[], Status]) -> asyncio.Server:
    """Answer each connection on a socket (mode 0600) with the status as JSON. Raises OSError."""

    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(answer()))
            await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            before = os.umask(0o177)
            try:
                listener.bind(name)
            finally:
                os.umask(before)
        return await asyncio.start_unix_server(reply, sock=listener)
    except BaseException:
        listener.close()
        raise


def ask(path: Path, timeout: float = 5.0) -> Status | None:
    """The status of the running agent; None where none runs. Raises OSError (no permission, no answer)."""
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            with _short(path) as name:
                connection.connect(name)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        data = b""
        while len(data) < MAX_REPLY and (more := connection.recv(65536)):
            data += more
    return msgspec.json.decode(data, type=Status)
