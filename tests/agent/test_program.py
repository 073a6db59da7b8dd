"""The real program as a person starts it, against a TLS server on [::1] that stores what it is sent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import keys
from agent.home import Home
from telemetry import ledger, wire, work
from telemetry.enrol import Token
from telemetry.event import Event
from telemetry.validate import validate
from telemetry.work import SnmpCredential, SnmpTarget, SnmpVersion, Work
from tests.agent.tls_site import Authority, Listener, Reply, Request

SECRET = "tok3n-tok3n-tok3n-tok3n"
COMMUNITY = "c0mmun1ty-never-shown"
CONFIG = """
[pipeline]
flush_seconds = 0.1
status_seconds = 1
[uplink]
linger_seconds = 0.1
work_seconds = 1
[[inputs]]
type = "host"
interval = 5
"""


class Collector:
    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.events: dict[tuple[int, int], Event] = {}
        self.life_ms = 30 * 86_400_000
        self.issued = 0
        target = SnmpTarget("d1", "router", "::1", SnmpCredential(SnmpVersion.V2C, community=COMMUNITY))
        self.work = Work(version="w1", unit="u1", snmp=(target,))
        self.listener = Listener(self.authority, folder, self.answer)

    @property
    def token(self) -> str:
        return str(Token("0123456789ab", SECRET, keys.pin_of(self.authority.pem)))

    def answer(self, request: Request) -> Reply:
        if request.path == "/agent/v1/ca":
            return Reply(200, self.authority.pem.encode())
        if request.path in ("/agent/v1/enrol", "/agent/v1/renew"):
            self.issued += 1
            csr = msgspec.json.decode(request.body)["csr"]
            body = {
                "agent": "agent-1", "unit": "u1", "certificate": self.authority.sign(csr, "agent-1"),
                "ca": self.authority.pem, "not_after_ms": time.time_ns() // 1_000_000 + self.life_ms,
            }  # fmt: skip
            return Reply(200, body)
        assert request.peer == "agent-1"
        if request.path == "/agent/v1/work":
            if request.headers.get("If-None-Match") == '"w1"':
                return Reply(304)
            return Reply(200, work.encode(self.work), {"ETag": '"w1"'})
        batch = wire.decode(request.body)
        for sequence, raw in batch.records:
            self.events[(batch.header.epoch, sequence)] = msgspec.json.decode(raw)
        return Reply(200, {"stored": len(batch.records), "work": "w1"})

    def of(self, action: str) -> list[Event]:
        return [e for e in list(self.events.values()) if e["event.action"] == action]


class Agent:
    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        self.process: subprocess.Popen[str] | None = None
        self.log = home.parent / "agent.log"

    def call(self, *words: str, code: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "agent.main", *words], capture_output=True, text=True, timeout=60, input=stdin
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, **environment: str) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.main", "run", "--home", str(self.home)],
                stdout=log, stderr=log, text=True, env={**os.environ, **environment},
            )  # fmt: skip

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.process = None
        return code

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call("status", "--json", "--home", str(self.home)))
        return found


class Site:
    def __init__(self, folder: Path) -> None:
        self.collector = Collector(folder)
        home = folder / "agent"
        home.mkdir()
        (home / "agent.toml").write_text(CONFIG)
        self.agent = Agent(home, self.collector.listener.url)

    def enrol(self) -> str:
        return self.agent.call(
            "enrol", self.agent.url, "--token", "-", "--home", str(self.agent.home), stdin=self.collector.token + "\n"
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.agent.process is not None:
        made.agent.end(signal.SIGKILL)
    made.collector.listener.close()


def wait_for(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def test_from_a_token_to_a_ledger_that_adds_up_and_a_clean_end(site: Site) -> None:
    assert "enrolled as" in site.enrol()
    site.agent.start()
    wait_for(lambda: len(site.collector.of("status")) >= 2)
    status = site.agent.status()
    assert status["running"]
    assert status["uplink"]["state"] == "connected"
    assert [i["state"] for i in status["inputs"]] == ["on"]
    ours = status["ledger"]
    assert ours["collected"] == ours["acked"] + ours["spooled"] + sum(ours["dropped"].values())
    text = site.agent.call("status", "--home", str(site.agent.home), "--lang", "zh")
    assert "已采集" in text
    wait_for(lambda: len(site.collector.of("host")) >= 1)
    assert site.agent.end() == 0
    assert len(site.collector.of("stop")) == 1, "the last word arrives"
    assert site.collector.of("unclean-stop") == []
    for made in site.collector.events.values():
        validate(made)
    by_epoch: dict[int, list[int]] = {}
    for epoch, sequence in site.collector.events:
        by_epoch.setdefault(epoch, []).append(sequence)
    for sequences in by_epoch.values():
        assert sorted(sequences) == list(range(1, len(sequences) + 1)), "no gap"
    last = site.collector.of("status")[-1]
    rows = ledger.decode(str(last["tengwang.ledger.detail"]))
    assert {row.epoch for row in rows} <= set(by_epoch)
    assert all(row.collected == row.acked + row.spooled + sum(row.dropped.values()) for row in rows)
    after = json.loads(site.agent.call("status", "--json", "--home", str(site.agent.home), code=1))
    assert not after["running"]
    assert after["ledger"]["collected"] == after["ledger"]["acked"] == len(site.collector.events)


def test_kill_9_is_told_at_the_next_start_and_nothing_is_lost_or_doubled(site: Site) -> None:
    site.enrol()
    site.agent.start()
    wait_for(lambda: site.collector.of("status"))
    site.agent.end(signal.SIGKILL)
    epochs = {epoch for epoch, _ in site.collector.events}
    site.agent.start()
    wait_for(lambda: site.collector.of("unclean-stop"))
    told = [epoch for (epoch, _), made in site.collector.events.items() if made["event.action"] == "unclean-stop"]
    assert min(told) > max(epochs)
    site.agent.end()
    assert site.collector.of("dropped") == []


def test_no_secret_is_in_the_log_the_status_the_arguments_or_a_readable_file(site: Site) -> None:
    said = site.enrol()
    site.agent.start()
    wait_for(lambda: Home(site.agent.home).work.exists())
    assert site.agent.process is not None
    arguments = Path(f"/proc/{site.agent.process.pid}/cmdline").read_text()
    shown = said + arguments + site.agent.call("status", "--json", "--home", str(site.agent.home))
    shown += site.agent.call("dump-config", "--home", str(site.agent.home))
    site.agent.end()
    shown += site.agent.log.read_text()
    for secret in (SECRET, COMMUNITY, "PRIVATE KEY"):
        assert secret not in shown
    holding = [p for p in site.agent.home.rglob("*") if p.is_file() and COMMUNITY.encode() in p.read_bytes()]
    assert holding == [Home(site.agent.home).work]
    assert {p.stat().st_mode & 0o077 for p in site.agent.home.rglob("*") if p.name != "agent.toml"} == {0}


def test_work_is_used_while_the_collector_is_away(site: Site) -> None:
    site.enrol()
    site.agent.start()
    wait_for(lambda: Home(site.agent.home).work.exists())
    site.agent.end()
    site.collector.listener.close()
    site.agent.start()
    wait_for(lambda: Home(site.agent.home).socket.exists())
    wait_for(lambda: site.agent.status()["uplink"]["state"] == "retrying")
    assert site.agent.status()["ledger"]["spooled"] > 0
    assert work.decode(Home(site.agent.home).work.read_bytes()) == site.collector.work
    assert site.agent.end() == 0


def test_the_certificate_renews_itself_at_half_its_life(site: Site) -> None:
    site.collector.life_ms = 2_000
    site.enrol()
    site.collector.life_ms = 30 * 86_400_000
    before = (Home(site.agent.home).identity / "key.pem").read_bytes()
    site.agent.start()
    wait_for(lambda: site.collector.issued == 2)
    wait_for(lambda: (Home(site.agent.home).identity / "key.pem").read_bytes() != before)
    count = len(site.collector.of("status"))
    wait_for(lambda: len(site.collector.of("status")) > count + 1)
    assert site.agent.end() == 0


def test_a_second_agent_in_the_same_home_and_one_that_is_not_enrolled_are_refused(site: Site) -> None:
    assert "not enrolled" in site.agent.call("run", "--home", str(site.agent.home), code=2)
    site.enrol()
    site.agent.start()
    wait_for(lambda: Home(site.agent.home).socket.exists())
    assert "another tengwang-agent" in site.agent.call("run", "--home", str(site.agent.home), code=2)
    site.agent.end()


def test_check_says_what_is_well_and_what_is_not(site: Site) -> None:
    home = str(site.agent.home)
    assert "not enrolled" in site.agent.call("check", "--home", home, code=2)
    site.enrol()
    assert "it knows this agent" in site.agent.call("check", "--home", home)
    site.collector.listener.close()
    found = json.loads(site.agent.call("check", "--home", home, "--json", code=1))
    assert [f["grade"] for f in found if f["what"].startswith("collector")] == ["warn"]
    (site.agent.home / "agent.toml").write_text('log_level = "loud"\n')
    assert "agent.toml:1: log_level" in site.agent.call("check", "--home", home, code=2)


def test_metrics_are_there_when_asked_for(site: Site) -> None:
    import socket

    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    (site.agent.home / "agent.toml").write_text(f'metrics_listen = "[::1]:{port}"\n' + CONFIG)
    site.enrol()
    site.agent.start()
    wait_for(lambda: site.collector.of("status"))
    with urllib.request.urlopen(f"http://[::1]:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert "tengwang_agent_uplink_connected 1.0" in text
    assert 'tengwang_agent_input_on{input="host"} 1.0' in text
    assert "tengwang_agent_ledger_collected" in text
    site.agent.end()


def test_a_clock_that_is_wrong_from_the_start_loses_nothing(site: Site) -> None:
    site.enrol()
    site.agent.start(TENGWANG_CLOCK_OFFSET_MS="86400000")
    wait_for(lambda: site.collector.of("status"))
    site.agent.end()
    epochs = {epoch for epoch, _ in site.collector.events}
    site.agent.start(TENGWANG_CLOCK_OFFSET_MS="-86400000")
    wait_for(lambda: len(site.collector.of("start")) == 2)
    site.agent.end()
    assert max(epochs) < min({epoch for epoch, _ in site.collector.events} - epochs)
    assert site.collector.of("dropped") == []


@pytest.mark.needs("root")
def test_a_disk_that_fills_and_is_freed_loses_nothing_and_needs_no_hand(site: Site) -> None:
    site.enrol()
    spool = Home(site.agent.home).spool
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(spool)], check=True)
    try:
        site.agent.start()
        wait_for(lambda: site.collector.of("status"))
        with contextlib.suppress(OSError), (spool / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        wait_for(lambda: "No space" in site.agent.status()["disk"])
        told = len(site.collector.of("status"))
        time.sleep(2)
        (spool / "filler").unlink()
        wait_for(lambda: len(site.collector.of("status")) > told + 1)
        assert site.agent.status()["disk"] == ""
        assert site.agent.end() == 0
        assert site.collector.of("dropped") == []
        stamps = sorted(int(str(e["@timestamp"])) for e in site.collector.of("status"))
        assert max(b - a for a, b in pairwise(stamps)) < 2000, "those of the time without room are there too"
    finally:
        if site.agent.process is not None:
            site.agent.end(signal.SIGKILL)
        subprocess.run(["umount", str(spool)], check=True)


def test_try_prints_events_a_line_each_without_a_collector(site: Site) -> None:
    lines = site.agent.call("try", "host", "--json").splitlines()
    events = [json.loads(line) for line in lines]
    assert {e["event.dataset"] for e in events} == {"tengwang.host"}
    assert all(e["@timestamp"].endswith("Z") for e in events)
    assert "did you mean 'interval'" in site.agent.call("try", "host", "--set", "intervall=3", code=2)
    assert "no agent.inputs named" in site.agent.call("try", "hots", code=2)
    assert "OPTION=VALUE" in site.agent.call("try", "host", "--set", "interval", code=2)
