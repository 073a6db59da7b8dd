"""The real programs on hosts of the lab: a collector and agents, started by their own command lines."""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import DEFAULT_INPUTS
from agent.spool import Account
from agent.status import ask
from collector import login
from telemetry.clock import OFFSET_VARIABLE, SystemClock
from tests.lab import extranet, inventory
from tests.lab.host import RunningHost
from tests.lab.lab import Lab
from tests.lab.stores import StoreChoice

PROGRAMS = Path(sys.executable).parent
CONSOLE_PORT = 8740
AGENTS_PORT = 8743


@dataclass
class Collector:
    """``tengwang serve`` on a host; ``store`` is where it keeps its events, ``settings`` more of its tengwang.toml.

    A second one has another ``program`` (its name on the host) and ``shift`` (added to its ports), and the authority
    of the one it stands ``beside``.
    """

    lab: Lab
    store: StoreChoice
    host_name: str = "mgmt"
    home: Path = field(default_factory=Path)
    settings: str = ""
    program: str = "collector"
    shift: int = 0
    beside: Collector | None = None
    _console: int = 0
    _token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.home == Path():
            self.home = self.host.directory / ("tengwang" if self.program == "collector" else self.program)
        self.own.mkdir(parents=True, exist_ok=True)
        (self.own / "tengwang.toml").write_text(self.settings + self.store.settings)
        inventory.write(self.home / "inventory", self.lab.topology, self.lab.secrets)

    @property
    def host(self) -> RunningHost:
        return self.lab[self.host_name]

    @property
    def own(self) -> Path:
        """The collector's own directory, where its store is."""
        return self.home / "collector"

    @property
    def url(self) -> str:
        """Where agents find it."""
        return f"https://[{self.host.spec.address()}]:{AGENTS_PORT + self.shift}"

    def start(self, offset_ms: int = 0, wait: bool = True) -> None:
        """``offset_ms``: its clock is wrong by this much."""
        if self.beside is not None and not (self.own / "ca").exists():
            shutil.copytree(self.beside.own / "ca", self.own / "ca")
        words = ["serve", "--home", str(self.home), "--listen", f"[::1]:{CONSOLE_PORT + self.shift}"]
        words += ["--agents-listen", f"[{self.host.spec.address()}]:{AGENTS_PORT + self.shift}"]
        self.host.start(self.program, PROGRAMS / "tengwang", *words, env=clock(offset_ms))
        if wait:
            self.host.until("serving", lambda: self.host.listens(AGENTS_PORT + self.shift), self.program, 60)

    def stop(self) -> int:
        return self.host.stop(self.program)

    def kill(self) -> None:
        self.host.kill(self.program)

    def command(self, *words: str) -> str:
        """Run ``tengwang WORDS`` on the same home; returns what it prints."""
        return self.host.run(PROGRAMS / "tengwang", *words, "--home", self.home).stdout

    def enrol_token(self, unit: str) -> str:
        return last_word(self.command("token", "create", "--enrol", "--unit", unit))

    def get(self, path: str) -> Any:
        """``/api/v1/PATH`` as decoded JSON, with a viewer's token. Raises OSError."""
        if not self._token:
            self._token = last_word(self.command("token", "create", "--role", "viewer"))
        request = urllib.request.Request(
            f"{self.console()}/api/v1/{path}", headers={"Authorization": f"Bearer {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def console(self) -> str:
        """The console's address outside the lab."""
        if not self._console:
            self._console = self.lab.relay(self.host_name, ("::1", CONSOLE_PORT + self.shift))
        return f"http://127.0.0.1:{self._console}"

    def login_link(self) -> str:
        """A new one-time link into the console, as an administrator."""
        with self.store.open(self.own) as store:
            return f"{self.console()}{login.PATH}{login.create(store, SystemClock())}"

    def log(self) -> str:
        return self.host.log(self.program)


@dataclass
class Agent:
    """``tengwang-agent`` on a host, for a unit. ``settings`` is the text of its agent.toml."""

    host: RunningHost
    unit: str
    settings: str = ""
    home: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        if self.home == Path():
            self.home = self.host.directory / "agent"
        self.home.mkdir(parents=True, exist_ok=True)
        if self.settings:
            (self.home / "agent.toml").write_text(self.settings)

    def enrol(self, collector: Collector, token: str = "") -> str:
        """Returns what it prints."""
        token = token or collector.enrol_token(self.unit)
        return self.command("enrol", collector.url, "--token", token)

    def start(self, offset_ms: int = 0) -> None:
        self.host.start("agent", PROGRAMS / "tengwang-agent", "run", "--home", self.home, env=clock(offset_ms))

    def stop(self) -> int:
        return self.host.stop("agent")

    def kill(self) -> None:
        self.host.kill("agent")

    def command(self, *words: str) -> str:
        return self.host.run(PROGRAMS / "tengwang-agent", *words, "--home", self.home).stdout

    def account(self) -> Account:
        """The running agent's own ledger. Raises OSError where it does not run."""
        status = ask(self.home / "status.sock")
        if status is None:
            raise ConnectionError(f"no agent runs on {self.host.name}")
        return status.ledger

    def log(self) -> str:
        return self.host.log("agent")


def inputs(**options: str) -> str:
    """An agent.toml with all inputs; ``host="interval = 1"`` gives the options of one."""
    tables = (f'[[inputs]]\ntype = "{name}"\n{options.get(name, "")}\n' for name in DEFAULT_INPUTS)
    return "\n".join(tables)


def clock(offset_ms: int) -> Mapping[str, str]:
    return {OFFSET_VARIABLE: str(offset_ms)} if offset_ms else {OFFSET_VARIABLE: os.environ.get(OFFSET_VARIABLE, "0")}


def last_word(text: str) -> str:
    """Tokens are printed alone on the last line."""
    return text.split()[-1]


def agents(lab: Lab, settings: Callable[[str], str] = lambda unit: "") -> dict[str, Agent]:
    """One agent on each host that has one, by unit; not enrolled yet. ``settings`` gives each its agent.toml."""
    return {unit: Agent(lab[host], unit, settings(unit)) for host, unit in extranet.AGENT_HOSTS.items()}
