"""What the faults are done to: a lab with collectors and three agents, on small disks, and perhaps a cluster."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chaos.schedule import Fault, Kind, Targets
from tests.lab.lab import Lab
from tests.lab.programs import Agent, Collector
from tests.parts.elasticsearch import Cluster

SPOOL_DISK = "24m"
STORE_DISK = "192m"
FILLER = "filler"
MASTER_SECONDS = 60.0
"""So long may a cluster whose master was killed take to elect another, on a busy machine."""


class Site:
    """Does a fault and heals it. ``say`` is told of what nobody asked for, such as a program that ended by itself."""

    def __init__(
        self,
        lab: Lab,
        collectors: Sequence[Collector],
        agents: dict[str, Agent],
        cluster: Cluster | None,
        say: Callable[[str], None],
    ) -> None:
        self.lab, self.agents, self.cluster = lab, agents, cluster
        self.collectors = {collector.program: collector for collector in collectors}
        self._say = say
        self._down: set[str] = set()

    @property
    def targets(self) -> Targets:
        links = ("backbone.county", "bureau.probe", "mgmt.mgmt")
        nodes = len(self.cluster.nodes) if self.cluster else 0
        return Targets(tuple(self.agents), links, nodes, tuple(self.collectors))

    @property
    def collector(self) -> Collector:
        """The first of them."""
        return next(iter(self.collectors.values()))

    def begin(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL_AGENT:
                self._end(fault.target, self.agents[fault.target].kill)
            case Kind.STOP_AGENT:
                self._end(fault.target, self.agents[fault.target].stop)
            case Kind.AGENT_CLOCK:
                self._end(fault.target, self.agents[fault.target].kill)
                self._run(fault.target, fault.offset_ms)
            case Kind.KILL_COLLECTOR:
                self._end(fault.target, self.collectors[fault.target].kill)
            case Kind.STOP_COLLECTOR:
                self._end(fault.target, self.collectors[fault.target].stop)
            case Kind.COLLECTOR_CLOCK:
                self._end(fault.target, self.collectors[fault.target].kill)
                self._run(fault.target, fault.offset_ms)
            case Kind.KILL_NODE:
                assert self.cluster is not None
                self.cluster.wait()
                self.cluster.kill(int(fault.target))
            case Kind.READ_ONLY:
                self._read_only(True)
            case Kind.CUT_LINK:
                segment, _, host = fault.target.partition(".")
                self.lab.cut(host, segment)
            case Kind.FILL_SPOOL:
                self._fill(self.agents[fault.target].home)
            case Kind.FILL_STORE:
                self._fill(self.collector.own)

    def heal(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL_AGENT | Kind.STOP_AGENT | Kind.KILL_COLLECTOR | Kind.STOP_COLLECTOR:
                self._run(fault.target)
            case Kind.AGENT_CLOCK:
                self._end(fault.target, self.agents[fault.target].kill)
                self._run(fault.target)
            case Kind.COLLECTOR_CLOCK:
                self._end(fault.target, self.collectors[fault.target].kill)
                self._run(fault.target)
            case Kind.KILL_NODE:
                assert self.cluster is not None
                self.cluster.restart(int(fault.target), wait=False)
            case Kind.READ_ONLY:
                self._read_only(False)
            case Kind.CUT_LINK:
                segment, _, host = fault.target.partition(".")
                self.lab.restore(host, segment)
            case Kind.FILL_SPOOL:
                self._empty(self.agents[fault.target].home)
            case Kind.FILL_STORE:
                self._empty(self.collector.own)

    def supervise(self) -> None:
        """Start again what ended by itself, as systemd would, and say so."""
        for name in (*self.collectors, *self.agents):
            host = self.collectors[name].host if name in self.collectors else self.agents[name].host
            program = name if name in self.collectors else "agent"
            if name not in self._down and program in host.running and not host.alive(program):
                ended = host.running.pop(program)
                self._say(f"{name} ended by itself with {ended.returncode}: {host.log(program)[-400:].strip()}")
                self._run(name)

    def _end(self, name: str, end: Callable[[], object]) -> None:
        self._down.add(name)
        end()

    def _run(self, name: str, offset_ms: int = 0) -> None:
        if name in self.collectors:
            self.collectors[name].start(offset_ms, wait=False)
        else:
            self.agents[name].start(offset_ms)
        self._down.discard(name)

    def _fill(self, folder: Path) -> None:
        """Not one byte is left on the disk that holds this folder."""
        with contextlib.suppress(OSError), (folder / FILLER).open("wb", buffering=0) as filler:
            for size in (1 << 20, 4096, 512, 1):
                with contextlib.suppress(OSError):
                    while filler.write(b"\0" * size) == size:
                        pass

    def _empty(self, folder: Path) -> None:
        (folder / FILLER).unlink(missing_ok=True)

    def _read_only(self, there: bool) -> None:
        assert self.cluster is not None
        body = json.dumps({"index.blocks.read_only_allow_delete": True if there else None}).encode()
        deadline = time.monotonic() + MASTER_SECONDS
        while True:
            try:
                self.cluster.request("PUT", "/_all/_settings?expand_wildcards=all", body)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)


def small_disk(folder: Path, size: str) -> None:
    """Put a file system of its own, of this size, under a folder; the lab takes it away at its end."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)], check=True)
