"""[append] CPU of one event from its encoded JSON to the disk, durable per batch, beside a plain file.

Measured: ``Spool.append`` (sequence, framing, CRC, write, one fdatasync a batch), CPU time of the process (user and
system), on events of about 500 bytes in batches of 500, of which a fresh spool takes 200,000. The peer writes the
same JSON with line ends to one file, one write and one fdatasync a batch. Neither side encodes within the measured
time; the cost of encoding is printed beside it. [append mixed] is the same with the five priorities of a host's real
mix in every batch, which is an fdatasync for each priority.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.spool import Spool
from telemetry.clock import SystemClock
from telemetry.event import Event, Priority
from telemetry.report import Report
from tests.bench.result import Result

EVENTS = 200_000
BATCH = 500
ROUNDS = 3
SHARE = {Priority.FLOW: 300, Priority.METRIC: 120, Priority.STATE: 40, Priority.FINDING: 30, Priority.LEDGER: 10}


def flow(number: int) -> Event:
    """A flow as the packets input makes it."""
    return {
        "@timestamp": 1_790_000_000_000 + number,
        "event.dataset": "tengwang.flow",
        "event.action": "flow",
        "event.kind": "event",
        "event.start": 1_790_000_000_000 + number,
        "event.end": 1_790_000_010_000 + number,
        "source.ip": f"2001:db8:1::{number % 65536:x}",
        "source.port": 1024 + number % 60_000,
        "destination.ip": f"2001:db8:2::{number % 4096:x}",
        "destination.port": 443,
        "network.transport": "tcp",
        "network.iana_number": 6,
        "network.type": "ipv6",
        "network.bytes": number * 17 % 1_000_000,
        "network.packets": 1 + number % 900,
        "tengwang.flow.raw_bytes": number * 17 % 1_000_000,
        "tengwang.flow.raw_packets": 1 + number % 900,
        "tengwang.flow.sampling_rate": 1,
        "tengwang.interface.name": "eth0",
    }


def run() -> list[Result]:
    began = time.process_time()
    encode = msgspec.json.Encoder().encode
    events = [flow(number) for number in range(BATCH)]
    for _ in range(20):
        records = [encode(made) for made in events]
    cost = (time.process_time() - began) / (21 * BATCH) * 1e6
    size = sum(map(len, records)) / len(records)
    print(f"{EVENTS} events of {size:.0f} bytes in batches of {BATCH}; to encode one takes about {cost:.1f} us")
    plain = min(_plain(records) for _ in range(ROUNDS))
    single = min(_spool([(Priority.FLOW, records)]) for _ in range(ROUNDS))
    cuts, start = [], 0
    for priority, share in SHARE.items():
        cuts.append((priority, records[start : start + share]))
        start += share
    mixed = min(_spool(cuts) for _ in range(ROUNDS))
    name = "plain file, one fsync a batch"
    return [
        Result("append", round(single, 3), round(plain, 3), name, "CPU us/event"),
        Result("append mixed", round(mixed, 3), round(plain, 3), name, "CPU us/event"),
    ]


def _spool(parts: Sequence[tuple[Priority, list[bytes]]]) -> float:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        clock = SystemClock()
        spool = Spool(Path(folder) / "spool", clock, Report(clock), max_bytes=1 << 30)
        began = time.process_time()
        for _ in range(EVENTS // BATCH):
            for priority, records in parts:
                spool.append(priority, records)
        used = time.process_time() - began
        spool.close()
    return used / EVENTS * 1e6


def _plain(records: Sequence[bytes]) -> float:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        fd = os.open(Path(folder) / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        began = time.process_time()
        for _ in range(EVENTS // BATCH):
            os.write(fd, b"\n".join(records) + b"\n")
            os.fdatasync(fd)
        used = time.process_time() - began
        os.close(fd)
    return used / EVENTS * 1e6
