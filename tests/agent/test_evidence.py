from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import evidence
from agent.decoders import pcapng_writer
from agent.decoders.captures import records
from agent.decoders.pcap import Record
from agent.evidence_ring import EvidenceRing
from telemetry.clock import ManualClock, iso
from telemetry.errors import ConfigError
from telemetry.report import Report
from tests.agent.decoders import tshark
from tests.agent.inputs.pair import ROOT

START = 1_790_000_000
SECOND = 1_000_000_000
V6 = bytes(12) + b"\x86\xdd\x60\0\0\0\0\0\x3b\x40" + bytes.fromhex("20010db8" + "00" * 11)


def six(source: int, target: int) -> bytes:
    return V6 + bytes([source]) + bytes.fromhex("20010db8" + "00" * 11) + bytes([target])


def arp(source: int) -> bytes:
    return (
        bytes(6) + b"\2\0\0\0\0" + bytes([source]) + b"\x08\x06" + bytes(14) + b"\xc0\0\2" + bytes([source]) + bytes(10)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ring with a packet a second for 400 s: by turns of host 1 to host 2, of host 3 to host 4, ARP of host 5."""
    clock = ManualClock()
    home = tmp_path / "state" / "packets" / "evidence"
    ring = EvidenceRing(home, 1 << 20, False, clock, Report(clock))
    for at in range(400):
        frame = (six(1, 2), six(3, 4), arp(5))[at % 3]
        ring.add((START + at) * SECOND, 1, "eth0" if at % 3 else "eth1", frame, len(frame) + 500)
        clock.advance(1)
        ring.flush()
    ring.close()
    return home


def asked(**given_: object) -> evidence.Asked:
    made = {"around_ms": (START + 200) * 1000, "before_s": 30.0, "after_s": 30.0, "by": "张伟", "why": "incident 7"}
    return evidence.Asked(**(made | given_))  # type: ignore[arg-type]


def seconds(made: evidence.Extract) -> list[int]:
    return [record.time_ns // SECOND - START for record in records([made.data])]


def test_what_is_around_the_moment_is_given(folder: Path) -> None:
    made = evidence.extract(folder, asked())
    assert seconds(made) == list(range(170, 231))
    assert (made.packets, made.left_out, made.unreadable) == (61, 0, 0)
    assert {record.interface for record in records([made.data])} == {"eth0", "eth1"}


@pytest.mark.parametrize(
    ("about", "turn"),
    [("2001:db8::1", 0), ("2001:db8::4", 1), ("2001:db8::4/126", 1), ("192.0.2.5", 2), ("02:00:00:00:00:05", 2)],
)
def test_what_is_about_an_address_is_given(folder: Path, about: str, turn: int) -> None:
    assert seconds(evidence.extract(folder, asked(about=(about,)))) == [at for at in range(170, 231) if at % 3 == turn]


def test_of_too_much_what_is_nearest_is_given_within_the_bound(folder: Path) -> None:
    for size in (0, 300, 1000, 2000, 4001):
        made = evidence.extract(folder, asked(max_bytes=size))
        found = seconds(made)
        assert len(made.data) <= max(size, 400)
        assert made.left_out == 61 - len(found)
        assert all(abs(at - 200) <= len(found) // 2 + 3 for at in found)
    assert len(found) > 30


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=9)), max_size=4), size=st.integers(400, 9000)
)
def test_a_damaged_ring_gives_what_can_be_read(folder: Path, damage: list[tuple[int, bytes]], size: int) -> None:
    path = min(folder.iterdir())
    sound = path.read_bytes()
    data = bytearray(sound)
    for at, new in damage:
        data[at % len(data) : at % len(data) + len(new)] = new
    path.write_bytes(data)
    try:
        made = evidence.extract(folder, asked(max_bytes=size))
    finally:
        path.write_bytes(sound)
    assert len(made.data) <= size
    assert len(list(records([made.data]))) == made.packets


def test_what_is_no_address_is_refused() -> None:
    for about in ("2001:db8::/129", "host", "", "zz:00:00:00:00:01"):
        with pytest.raises(ConfigError, match="no address"):
            evidence.extract(Path("/nonexistent"), asked(about=(about,)))


def test_no_ring_gives_no_packets() -> None:
    made = evidence.extract(Path("/nonexistent"), asked())
    assert (made.packets, made.left_out) == (0, 0)
    assert list(records([made.data])) == []


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent.main", "evidence", "--home", str(home), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.needs("tshark")
def test_the_command_writes_what_tshark_reads_and_who_asked_is_on_record(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    when = iso((START + 200) * 1000)
    done = run(tmp_path, "--around", when, "--about", "2001:db8::1", "--why", "incident 7", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("40 packets, ")
    assert set(tshark.fields(out, "ipv6.src", "ipv6.dst", "frame.len")) == {("2001:db8::1", "2001:db8::2", "554")}
    (line,) = (tmp_path / "evidence.jsonl").read_text().splitlines()
    said = json.loads(line)
    assert (said["why"], said["packets"], said["about"]) == ("incident 7", 40, ["2001:db8::1"])
    assert said["by"].endswith(" on this host")
    assert said["by"] in tshark.run("capinfos", str(out))


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "out.pcapng"))
    assert run(tmp_path, "--around", "2026-11-23T08:30:00Z", *out).returncode == 1
    (tmp_path / "state" / "packets" / "evidence").mkdir(parents=True)
    assert run(tmp_path, "--around", "yesterday", *out).returncode == 2
    assert run(tmp_path, "--around", "2026-11-23T08:30:00Z", "--max-kb", "0", *out).returncode == 2


def test_a_record_is_reckoned_with_as_it_is_written() -> None:
    for size in range(9):
        frame = bytes(size)
        assert evidence.size_of(Record(0, size, frame)) == len(pcapng_writer.packet(0, 0, frame, size))
