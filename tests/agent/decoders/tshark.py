"""What tshark reads from a capture: the independent view that decoders are held against."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agent.decoders import pcap
from tests.agent.inputs.pair import ROOT, program

CAPTURES = ROOT / "tests" / "captures"


def frames(name: str) -> list[bytes]:
    return [record.frame for record in pcap.records((CAPTURES / name).read_bytes())]


def fields(capture: Path, *names: str) -> list[tuple[str, ...]]:
    """The values of these fields of every packet; several of one field are joined by commas."""
    options = [word for name in names for word in ("-e", name)]
    command = [program("tshark"), "-r", str(capture), "-T", "fields", "-E", "separator=|", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, errors="replace")
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]


def run(name: str, *words: str) -> str:
    """What a program of the same package says."""
    done = subprocess.run([program(name), *words], capture_output=True, text=True, check=True, errors="replace")
    return done.stdout
