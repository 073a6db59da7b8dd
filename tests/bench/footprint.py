"""[agent rss], [agent cpu], [collector rss], [install]: what the programs cost a host that has nothing to spare.

Measured on the real programs: ``tengwang serve`` with the embedded store and ``tengwang-agent run`` without a
configuration file, so with every input on: host, ndp, packets (these two need CAP_NET_RAW: run as root), snmp polling a
real snmpd over SNMPv3, and readiness with one system. After ``SETTLE`` seconds for the first polls and checks:

- [agent rss] VmHWM, the most it ever had resident, at the end;
- [agent cpu] user and system time over ``MEASURE`` seconds, in percent of one core;
- [collector rss] VmRSS at the end, with this one agent sending;
- [install] a fresh virtual environment with requirements/agent.txt and our wheel in it, as the disk keeps it, pip and
  compiled twins included (it needs the package registry, or pip's cache).

The peer of each is the bound that we promise.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.result import Result
from tests.parts.snmpd import AUTH_KEY, PRIV_KEY, snmpd

ROOT = Path(__file__).parent.parent.parent
SETTLE = float(os.environ.get("BENCH_SETTLE", "60"))
MEASURE = float(os.environ.get("BENCH_MEASURE", "60"))
TICKS = os.sysconf("SC_CLK_TCK")
MB = 1e6
INVENTORY = f"""
units: [{{id: u, name: 局, level: county}}]
credentials:
  - id: v3
    version: "3"
    user: sealed
    auth_protocol: SHA
    auth_key: {AUTH_KEY}
    priv_protocol: AES
    priv_key: {PRIV_KEY}
devices: [{{id: d, name: 路由器, unit: u, address: "::1", port: PORT, credential: v3}}]
systems: [{{id: s, name: 门户, unit: u, domains: [www.example.gov]}}]
resolvers: ["::1"]
"""


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder, snmpd(Path(folder) / "snmpd") as device:
        home = Path(folder)
        (home / "inventory").mkdir()
        (home / "inventory" / "all.yml").write_text(INVENTORY.replace("PORT", str(device.port)))
        words = ["serve", "--home", str(home), "--listen", "[::1]:0", "--agents-listen", "[::1]:0"]
        collector = start("collector.main", home / "collector.log", *words)
        agent: subprocess.Popen[bytes] | None = None
        try:
            url = wait_for_url(home / "collector.log")
            token = call("collector.main", "token", "create", "--enrol", "--unit", "u", "--home", str(home)).split()[-1]
            call("agent.main", "enrol", url, "--token", "-", "--home", str(home / "agent"), stdin=token)
            agent = start("agent.main", home / "agent.log", "run", "--home", str(home / "agent"))
            time.sleep(SETTLE)
            before = cpu_seconds(agent.pid)
            time.sleep(MEASURE)
            used = (cpu_seconds(agent.pid) - before) / MEASURE * 100
            print(call("agent.main", "status", "--home", str(home / "agent")))
            rss, collector_rss = memory(agent.pid, "VmHWM"), memory(collector.pid, "VmRSS")
        finally:
            for process in (agent, collector):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(30)
    return [
        Result("agent rss", round(rss / MB, 1), 80, "bound", "MB"),
        Result("agent cpu", round(used, 2), 1, "bound", "% of a core"),
        Result("collector rss", round(collector_rss / MB, 1), 200, "bound", "MB"),
        Result("install", round(installed() / MB, 1), 150, "bound", "MB"),
    ]


def start(module: str, log: Path, *words: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([sys.executable, "-m", module, *words], stdout=out, stderr=out, cwd=ROOT)


def call(module: str, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], input=stdin, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


def wait_for_url(log: Path) -> str:
    for _ in range(1200):
        if found := re.search(r"^agents:\s+(https://\S+)", log.read_text(), re.MULTILINE):
            return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"the collector did not come up: {log.read_text()}")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int, which: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"{which}:")[2].split()[0]) * 1024


def installed() -> int:
    """Bytes on the disk of what a network host gets: made anew, so nothing of this environment is counted."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = ("-q", "--disable-pip-version-check")
        fresh = Path(folder) / "venv"
        pip = [str(fresh / "bin/python"), "-m", "pip", "install", *quiet, "--no-deps"]
        build = [sys.executable, "-m", "pip", "wheel", *quiet, "--no-deps", "--no-build-isolation", "-w", folder]
        for command in (
            [*build, str(ROOT)],
            [sys.executable, "-m", "venv", str(fresh)],
            [*pip, "--require-hashes", "-r", str(ROOT / "requirements/agent.txt")],
        ):
            subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        subprocess.run([*pip, str(wheel)], check=True)
        subprocess.run([fresh / "bin/tengwang-agent", "--help"], check=True, stdout=subprocess.DEVNULL)
        return sum(path.lstat().st_blocks * 512 for path in fresh.rglob("*"))
