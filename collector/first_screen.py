"""What ``tengwang up`` tells a person: where the console is, what is measured here, and what can not be seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from telemetry.event import Event

BOLD, GREEN, YELLOW, DIM, RESET = "\033[1m", "\033[32m", "\033[33m", "\033[2m", "\033[0m"

TEXTS: Mapping[str, tuple[str, str]] = {
    "console": ("控制台(一次性登录链接,15 分钟内有效):", "Console (one-time login link, good for 15 minutes):"),
    "again": (
        "以后打开(请先在“用户”页设置密码):",
        "Later (set a password on the page Users first):",
    ),
    "measures": ("本机正在采集:", "Measured on this host:"),
    "blind": ("看不见(采集项已关闭):", "Blind here (these inputs are off):"),
    "failing": ("出错,正在重试:", "Failing, being tried again:"),
    "why": ("原因", "why"),
    "enable": ("启用方法", "to enable"),
    "waiting": ("探针正在启动 ...", "The agent is starting ..."),
    "no_word": ("探针还没有报告采集状态,请看控制台“探针”页。", "The agent has said nothing yet; see the page Agents."),
    "files": ("数据目录:", "Everything is kept in:"),
    "stop": ("按 Ctrl-C 停止。", "Ctrl-C stops everything."),
    "stopping": ("正在停止 ...", "Stopping ..."),
    "stopped": ("已停止。数据都在 {home}。", "Stopped. Everything is in {home}."),
    "inventory": ("台账:", "Inventory:"),
}


class Screen:
    """Writes lines; colours only on a terminal. The language is that of the environment (LC_ALL, LANG)."""

    def __init__(self, out: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out or sys.stdout
        self._colours = self._out.isatty() and "NO_COLOR" not in environ
        words = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
        self._language = 0 if words.lower().startswith("zh") else 1

    def text(self, key: str, **values: str) -> str:
        return TEXTS[key][self._language].format(**values)

    def line(self, text: str = "", style: str = "") -> None:
        self._out.write(f"{style}{text}{RESET}\n" if style and self._colours else f"{text}\n")
        self._out.flush()

    def welcome(self, link: str, console: str, home: str, inventory: str) -> None:
        self.line()
        self.line(self.text("console"), BOLD)
        self.line(f"  {link}", GREEN)
        self.line(f"{self.text('again')} {console}", DIM)
        self.line(f"{self.text('inventory')} {inventory}", DIM)
        self.line(f"{self.text('files')} {home}", DIM)
        self.line()

    def inputs(self, states: Sequence[Event]) -> None:
        """The newest state of every input of the local agent; for what is blind also the command that would help."""
        by_state: dict[str, list[Event]] = {}
        for doc in sorted(states, key=lambda d: str(d.get("tengwang.input.type", ""))):
            by_state.setdefault(str(doc.get("tengwang.input.state", "")), []).append(doc)
        if not states:
            self.line(self.text("no_word"), YELLOW)
        if good := [_name(d) for d in by_state.get("on", ())]:
            self.line(f"{self.text('measures')} {', '.join(good)}", GREEN)
        for state in ("blind", "failing"):
            if docs := by_state.get(state):
                self.line(self.text(state), YELLOW)
                for doc in docs:
                    self.line(f"  {_name(doc)}: {doc.get('message') or doc.get('event.reason') or ''}")
                    if advice := doc.get("tengwang.input.advice"):
                        self.line(f"    {self.text('enable')}: {advice}", BOLD)
        self.line()
        self.line(self.text("stop"), DIM)


def _name(doc: Event) -> str:
    found = doc.get("tengwang.input.type", "")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
