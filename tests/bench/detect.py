"""[rsigma] CPU of one event, decoded and matched against 3,000 rules, beside rsigma on the same rules and events.

The rules are ours over single events, and ours with other literals (_varied_rules.py); the events are the recorded mix
(tests/captures/mix.ndjson.zst), repeated to 100,000 and more. Ours: ``msgspec`` decoding and ``Index.hits``, CPU time
of this process. The peer: ``rsigma engine eval --rules DIR -q --no-detections`` (Rust; from crates.io, built here where
it is missing, which takes a quarter of an hour), user and system time of its process less that of a run over one event:
loading is not measured. Both on one core, in one run, the best of five. [growth] is our cost at 3,000 rules over that
at 30 (some of ours from every area).
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import zstandard

from collector.detect.index import Index
from collector.detect.load import load_file, rule_files
from collector.detect.rule import Rule
from collector.detect.ruleset import join
from tests.bench import _varied_rules as rules
from tests.bench.result import Result

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".tools/rsigma"
VERSION = "0.23.0"
RULES = 3_000
FEW = 30
EVENTS = 100_000
ROUNDS = 5
T = TypeVar("T")


def run() -> list[Result]:
    peer = _peer()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    lines = (
        zstandard.ZstdDecompressor()
        .stream_reader((ROOT / "tests/captures/mix.ndjson.zst").open("rb"))
        .read()
        .splitlines()
    )
    lines = lines * -(-EVENTS // len(lines))
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as home:
        many, few = Path(home) / "many", Path(home) / "few"
        rules.write(rules.varied(RULES), many)
        rules.write(rules.varied(FEW), few)
        events = Path(home) / "events.ndjson"
        events.write_bytes(b"\n".join(lines) + b"\n")
        one = Path(home) / "one.ndjson"
        one.write_bytes(lines[0] + b"\n")
        indexes = [_index(many), _index(few)]
        decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
        print(f"{len(lines)} events, {RULES} rules and {FEW}; decoding alone takes {_best(lines, decode)[0]:.2f} us")
        both = _best(lines, *(_decoded(decode, index) for index in indexes))
        decoded = [decode(line) for line in lines[: EVENTS // 10]]
        alone = _best(decoded, *(index.hits for index in indexes))
        print(f"matching alone: {alone[0]:.2f} us at {RULES} rules, {alone[1]:.2f} at {FEW}")
        hits = sum(len(indexes[0].hits(decode(line))) for line in lines)
        print(f"hits in {len(lines)} events: {hits} ours, {_detections(peer, many, events)} theirs")
        theirs = _rsigma(peer, many, events, one, len(lines))
    return [
        Result("rsigma", round(both[0], 3), round(theirs, 3), f"rsigma {VERSION}", "CPU us/event"),
        Result("growth", round(both[0], 3), round(both[1], 3), f"{FEW} rules", "CPU us/event"),
    ]


def _index(folder: Path) -> Index[Rule]:
    found = join([load_file(path) for path in rule_files(folder)])
    if found.problems:
        raise SystemExit("\n".join(map(str, found.problems[:10])))
    return Index(found.rules)


def _decoded(decode: Callable[[bytes], dict[str, Any]], index: Index[Rule]) -> Callable[[bytes], object]:
    hits = index.hits
    return lambda line: hits(decode(line))


def _best(items: Sequence[T], *works: Callable[[T], object]) -> list[float]:
    """CPU us an item of each; they take turns, so that what slows the machine for a while slows all of them."""
    best = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            began = time.process_time()
            for item in items:
                work(item)
            best[number] = min(best[number], time.process_time() - began)
    return [spent / len(items) * 1e6 for spent in best]


def _peer() -> Path:
    """rsigma, built where it is missing."""
    binary = TOOL / "bin/rsigma"
    if not binary.exists():
        print(f"cargo install rsigma --version {VERSION}, which takes a while ...", flush=True)
        command = ["cargo", "install", "rsigma", "--version", VERSION, "--locked", "--root", str(TOOL)]
        subprocess.run(command, check=True)
    return binary


def _detections(binary: Path, folder: Path, events: Path) -> int:
    """How often a rule matched: the peer reads the same rules and fields. It does not ask for the log source."""
    with events.open("rb") as stream:
        command = [str(binary), "engine", "eval", "--rules", str(folder), "-q", "--output-format", "ndjson"]
        told = subprocess.run(command, stdin=stream, stdout=subprocess.PIPE, check=True)
    return told.stdout.count(b"\n")


def _rsigma(binary: Path, folder: Path, events: Path, one: Path, count: int) -> float:
    def used(source: Path) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with source.open("rb") as stream:
            command = [str(binary), "engine", "eval", "--rules", str(folder), "-q", "--no-detections"]
            subprocess.run(command, stdin=stream, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    loading = min(used(one) for _ in range(ROUNDS))
    whole = min(used(events) for _ in range(ROUNDS))
    print(f"rsigma: {whole:.2f} s of CPU for all, {loading:.2f} s of it to load the rules")
    return (whole - loading) / (count - 1) * 1e6
