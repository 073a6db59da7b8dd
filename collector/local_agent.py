"""The agent that ``tengwang up`` runs beside the collector: enrolled by itself, watched, and stopped first."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from collector.registry import Registry
from telemetry.clock import Clock
from telemetry.errors import ConfigError, Transient

TYPED = "TENGWANG_COMMAND"
"""What the person typed; the agent's advice on how to let it see more names this command (agent/capture.py)."""
PR_SET_PDEATHSIG = 1
STOP_S = 15.0
AGAIN_S = 5.0
ENROL_S = 60.0
TOKEN_S = 300


class LocalAgent:
    """A subprocess, for agent and collector share no code. ``say`` tells a person that it ended by itself."""

    def __init__(self, home: Path, registry: Registry, clock: Clock, say: Callable[[str], None]) -> None:
        self._home = home
        self._registry = registry
        self._clock = clock
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._libc = ctypes.CDLL(None)

    async def start(self, url: str, unit: str) -> str:
        """Enrol where that is needed, then run. Returns the agent's id. Raises ConfigError."""
        if not await asyncio.to_thread(self._enrolled, url):
            await self._enrol(url, unit)
        await self._spawn()
        self._task = asyncio.create_task(self._watch())
        return str(self._identity().get("agent", ""))

    async def stop(self) -> None:
        """Let it hand over what it has, then end it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _enrolled(self, url: str) -> bool:
        """Has it an identity that this collector knows, at this address, that is still good?"""
        identity = self._identity()
        if url not in identity.get("collectors", ()) or identity.get("not_after_ms", 0) <= self._clock.now_ms():
            return False
        record = self._registry.agent(str(identity.get("agent", "")))
        return record is not None and not record.revoked

    def _identity(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode((self._home / "identity" / "identity.json").read_bytes())
        except (OSError, msgspec.DecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    async def _enrol(self, url: str, unit: str) -> None:
        token = await asyncio.to_thread(self._registry.create_enrol_token, unit, TOKEN_S, 1, "tengwang up")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.main", "enrol", url, "--token", "-", "--home", str(self._home)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            # over standard input, so that the token is in no process list
            said, _ = await asyncio.wait_for(process.communicate(f"{token}\n".encode()), ENROL_S)
        except TimeoutError as error:
            process.kill()
            await process.wait()
            raise ConfigError.one(str(self._home), f"the local agent did not enrol within {ENROL_S:.0f} s") from error
        if process.returncode:
            text = said.decode(errors="replace").strip()
            hint = f"another agent may use {self._home}; stop it, or choose another --home"
            raise ConfigError.one(str(self._home), f"the local agent could not enrol: {text}", hint)

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.main", "run", "--home", str(self._home)),
            stdin=asyncio.subprocess.DEVNULL,
            env=os.environ | {TYPED: shlex.join(sys.argv)},
            start_new_session=True,  # Ctrl-C is ours; the agent is stopped in order
            preexec_fn=self._die_with_parent,
        )

    def _die_with_parent(self) -> None:
        """In the child, before it runs: should this program be killed, the agent gets SIGTERM (prctl(2))."""
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            os._exit(0)

    async def _watch(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            self._say(f"the agent ended by itself (code {code}); it is started again in {AGAIN_S:.0f} s")
            await self._clock.sleep(AGAIN_S)
            with contextlib.suppress(OSError, Transient):
                await self._spawn()
