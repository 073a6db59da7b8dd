"""The agent's status for a person, in English or Chinese."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from zoneinfo import ZoneInfo

from agent import identity, status
from agent.home import Home
from agent.spool import Account, account_on_disk
from agent.status import Status
from agent.uplink import State
from telemetry import __version__
from telemetry.errors import ConfigError

ZONE = ZoneInfo("Asia/Shanghai")
WORDS: Mapping[str, tuple[str, str]] = {
    "running": ("running", "运行中"),
    "not running": ("not running", "未运行"),
    "not enrolled": ("not enrolled", "未注册"),
    "unit": ("unit", "单位"),
    "since": ("since", "启动于"),
    "memory": ("memory", "内存"),
    "ledger": ("ledger", "账目"),
    "collected": ("collected", "已采集"),
    "stored": ("stored", "已入库"),
    "spooled": ("spooled", "待发送"),
    "dropped": ("dropped", "已丢弃"),
    "lost": ("lost before they were collected", "采集前丢失"),
    "disk": ("disk", "磁盘"),
    "uplink": ("collector", "汇聚端"),
    "starting": ("starting", "启动中"),
    "connected": ("connected", "已连接"),
    "waiting": ("waiting, as it asked for patience", "等待(对端要求稍后)"),
    "retrying": ("no answer, trying again", "无应答,重试中"),
    "refused": ("refuses this agent", "拒绝本探针"),
    "last": ("last stored", "最近入库"),
    "inputs": ("inputs", "采集项"),
    "on": ("on", "正常"),
    "off": ("off", "未启用"),
    "blind": ("blind here", "此处不可见"),
    "failing": ("failing", "异常"),
    "events": ("events", "条事件"),
    "advice": ("to see", "处理建议"),
    "certificate": ("certificate good until", "证书有效期至"),
    "full": ("spool full", "队列已满"),
    "age": ("too old", "超过保存期"),
    "disk_full": ("disk full", "磁盘已满"),
    "corrupt": ("damaged on the disk", "磁盘数据损坏"),
}


def language(environment: Mapping[str, str] = os.environ) -> str:
    """zh where the locale is Chinese, else en."""
    set_to = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if set_to.lower().startswith("zh") else "en"


def find(home: Home) -> Status:
    """Ask the running agent, or read what the last run left. Raises ConfigError where it may not be read."""
    try:
        found = status.ask(home.socket)
        if found is not None:
            return found
        account = account_on_disk(home.spool)
    except OSError as error:
        hint = "run as the user that the agent runs as"
        raise ConfigError.one(str(home.path), f"can not be read: {error.strerror or error}", hint) from error
    try:
        who = identity.read(home)
    except ConfigError:
        return Status(False, "", "", "", __version__, str(home.path), account)
    return Status(
        False, who.agent, who.name, who.unit, __version__, str(home.path), account,
        certificate_until_ms=who.not_after_ms,
    )  # fmt: skip


def text(found: Status, lang: str) -> str:
    def word(key: str) -> str:
        return WORDS[key][lang == "zh"] if key in WORDS else key

    lines = [
        f"{found.name or '-'} ({found.agent or word('not enrolled')})  tengwang-agent {found.version}  {found.home}"
    ]
    state = word("running") if found.running else word("not running")
    if found.running:
        state += f", {word('since')} {_local(found.started_ms)}"
        state += f", {word('memory')} {found.rss / 1e6:.0f} MB, CPU {found.cpu:.1%}"
    lines.append(f"{state}; {word('unit')} {found.unit or '-'}")
    lines.append(f"{word('ledger')}: {_ledger(found.ledger, word)}")
    if found.lost:
        lines.append(f"{word('lost')}: {found.lost}")
    if found.disk:
        lines.append(f"{word('disk')}: {found.disk}")
    if found.uplink is not None:
        up = found.uplink
        lines.append(f"{word('uplink')}: {up.collector or '-'} {word(up.state)}" + _because(up.reason, up.detail))
        if up.last_ack_ms:
            lines.append(f"  {word('last')} {_local(up.last_ack_ms)}")
    if found.certificate_until_ms:
        lines.append(f"{word('certificate')} {_local(found.certificate_until_ms)}")
    if found.inputs:
        lines.append(f"{word('inputs')}:")
    for given in found.inputs:
        lines.append(
            f"  {given.name:<12} {word(given.state)}, {given.events} {word('events')}" + _because(given.why, "")
        )
        if given.advice:
            lines.append(f"  {'':<12} {word('advice')}: {given.advice}")
    for notice in found.notices[:5]:
        if notice.level in ("warning", "error"):
            lines.append(f"  {_local(notice.at_ms)} {notice.level} {notice.key}: {notice.message}")
    return "\n".join(lines) + "\n"


def _ledger(ledger: Account, word) -> str:  # type: ignore[no-untyped-def]
    dropped = sum(ledger.dropped.values())
    reasons = ", ".join(f"{word(reason)} {count}" for reason, count in sorted(ledger.dropped.items()) if count)
    return (
        f"{word('collected')} {ledger.collected} = {word('stored')} {ledger.acked} + {word('spooled')} {ledger.spooled}"
        f" + {word('dropped')} {dropped}" + (f" ({reasons})" if reasons else "")
    )


def _because(reason: str, detail: str) -> str:
    said = " ".join(part for part in (reason, detail) if part and part != State.CONNECTED)
    return f": {said}" if said else ""


def _local(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, ZONE).isoformat(sep=" ", timespec="seconds")
