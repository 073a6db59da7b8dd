"""[1M] [5M] [memory 1M flows] A capture to flow records and IPFIX: our whole process beside softflowd and nfpcapd.

Measured: CPU (user and system) of a process from its start to its end, a packet: its imports, reading the file,
decoding, the table with its expiry (active 60 s, inactive 15 s for all), and the export over UDP to a socket of this
machine that nobody reads (nfpcapd writes its own files instead). 1 M packets of 62 thousand flows and 5 M of 301
thousand, as ``_flow_capture.py`` makes them. The tools take turns; the least of the rounds counts, as whatever else
runs on the machine only adds. The captures stay in BENCH_DIR/tmp for the next run.

Memory: the most that was resident over a capture in which 1 M flows are live at a time.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.result import Result
from tests.setup import PATH, ROOT

ROUNDS = 5
CAPTURES = {"1M": (1_000_000, 62_000), "5M": (5_000_000, 301_000)}
LIVE = 1_000_000


def run() -> list[Result]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as own:
        folder = Path(os.environ["BENCH_DIR"]) / "tmp" if "BENCH_DIR" in os.environ else Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            port = sink.getsockname()[1]
            results = [
                _one(label, folder / f"flows-{label}.pcap", *sizes, port, Path(own))
                for label, sizes in CAPTURES.items()
            ]
            return [*results, _memory(folder / "flows-live.pcap", port)]


def _one(label: str, capture: Path, packets: int, flows: int, port: int, scratch: Path) -> Result:
    _write(capture, packets, flows)
    files = scratch / "nfpcapd"
    commands = {
        "ours": _ours(capture, port),
        "softflowd": _softflowd(capture, port),
        "nfpcapd": ["nfpcapd", "-r", str(capture), "-w", str(files), "-e", "60,15"],
    }
    used: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            shutil.rmtree(files, ignore_errors=True)
            files.mkdir()
            used[name].append(_measure(command)[0] / packets * 1e6)
    best = {name: round(min(values), 4) for name, values in used.items()}
    print(f"{label}: {capture.stat().st_size / 1e6:.0f} MB, CPU us/packet:", best)
    print("   all rounds:", {name: [round(value, 3) for value in values] for name, values in used.items()})
    return Result(label, best["ours"], best["softflowd"], "softflowd", "CPU us/packet")


def _memory(capture: Path, port: int) -> Result:
    # 12 s: nothing is over before the end
    _write(capture, LIVE, LIVE, 12, 1)
    ours = _measure(_ours(capture, port))[1]
    peer = _measure([*_softflowd(capture, port), "-m", str(LIVE * 2)])[1]
    print(f"memory: {ours:.0f} MB, softflowd {peer:.0f} MB, bound 250 MB")
    return Result("memory 1M flows", round(ours, 1), round(peer, 1), "softflowd", "MB")


def _write(capture: Path, *numbers: int) -> None:
    """In a process of its own: what this one has resident counts for each that it starts (exec keeps ru_maxrss)."""
    words = [str(number) for number in numbers]
    subprocess.run([sys.executable, "-m", "tests.bench._flow_capture", str(capture), *words], cwd=ROOT, check=True)


def _ours(capture: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "tests.bench._flow_process", str(capture), str(port)]


def _softflowd(capture: Path, port: int) -> list[str]:
    limits = [word for name in ("tcp", "tcp.rst", "tcp.fin", "udp", "icmp", "general") for word in ("-t", f"{name}=15")]
    command = ["softflowd", "-d", "-r", str(capture), "-n", f"127.0.0.1:{port}", "-v", "10"]
    return [*command, *limits, "-t", "maxlife=60", "-m", "1000000"]


def _measure(command: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and resident MB at most of one process."""
    environment = os.environ | {"PATH": PATH}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
