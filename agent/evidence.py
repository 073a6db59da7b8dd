"""Packets of the evidence ring around a moment, as one pcapng within a bound; and who asked for them."""

from __future__ import annotations

import heapq
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent import capture_file
from agent.bounded_file import BoundedFile
from agent.decoders import links, pcapng_writer
from agent.decoders.captures import records
from agent.decoders.pcap import Record
from agent.disk import SystemDisk
from agent.evidence_ring import FOLDER, SUFFIX, numbers
from telemetry import __version__
from telemetry.clock import iso
from telemetry.errors import ConfigError, Permanent

MILLISECOND = 1_000_000
RECORD_BYTES = 1 << 20
ARP, TAG = b"\x08\x06", b"\x81\x00"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted, by whom and why. ``about`` are addresses, prefixes and MACs; none means every packet."""

    around_ms: int
    before_s: float
    after_s: float
    about: tuple[str, ...] = ()
    max_bytes: int = 1 << 20
    by: str
    why: str = ""


class Extract(msgspec.Struct, frozen=True):
    """``data`` is a pcapng of ``packets``; ``left_out`` matched too, and were farther from the moment."""

    data: bytes
    packets: int
    left_out: int
    unreadable: int
    """Files of the ring that could not be read to their end."""


class Wanted:
    """Which packets are about the given addresses. Raises ConfigError for what is none."""

    def __init__(self, about: tuple[str, ...]) -> None:
        self._prefixes: list[tuple[int, int, int]] = []
        self._macs: set[bytes] = set()
        for text in about:
            try:
                if text.count(":") == 5 and "/" not in text and len(text) == 17:
                    self._macs.add(bytes.fromhex(text.replace(":", "")))
                else:
                    net = ipaddress.ip_network(text, strict=False)
                    self._prefixes.append((net.max_prefixlen // 8, int(net.network_address), int(net.netmask)))
            except ValueError:
                raise ConfigError.one("evidence", f"{text!r} is no address, prefix or MAC") from None

    def __call__(self, record: Record) -> bool:
        if not self._prefixes and not self._macs:
            return True
        frame = record.frame
        ethernet = record.link == links.ETHERNET
        if ethernet and self._macs and (frame[:6] in self._macs or frame[6:12] in self._macs):
            return True
        return any(self._within(address) for address in _addresses(record, ethernet))

    def _within(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        return any(size == len(address) and number & mask == net for size, net, mask in self._prefixes)


def _addresses(record: Record, ethernet: bool) -> tuple[bytes, ...]:
    frame = record.frame
    if ethernet:
        at = 16 if frame[12:14] == TAG else 12
        if frame[at : at + 2] == ARP and len(frame) >= at + 30:
            return frame[at + 16 : at + 20], frame[at + 26 : at + 30]
    try:
        header = links.decode(record.link, frame, record.length)
    except Permanent:
        return ()
    return (header.source, header.destination) if header else ()


def extract(folder: Path, asked: Asked) -> Extract:
    """From the ring in ``folder``. What does not fit into the bound is what is farthest from the moment.

    Blocks. Memory is bounded by ``asked.max_bytes``. Raises ConfigError for addresses that are none.
    """
    wanted = Wanted(asked.about)
    moment = asked.around_ms * MILLISECOND
    since, until = moment - int(asked.before_s * 1e9), moment + int(asked.after_s * 1e9)
    start = pcapng_writer.section(f"tengwang-agent {__version__}", _comment(asked))
    held: list[tuple[int, int, Record]] = []
    interfaces: dict[tuple[int, str], int] = {}
    room, found, unreadable = asked.max_bytes - len(start), 0, 0
    for path in _files(folder):
        source = records(capture_file.pieces(str(path), lambda: False))
        while True:
            try:
                record = next(source, None)
            except Permanent:
                unreadable += 1
                break
            if record is None:
                break
            if not since <= record.time_ns <= until or not wanted(record):
                continue
            found += 1
            key = (record.link, record.interface)
            if key not in interfaces:
                interfaces[key] = len(interfaces)
                room -= len(pcapng_writer.interface(*key))
            heapq.heappush(held, (-abs(record.time_ns - moment), found, record))
            room -= size_of(record)
            while room < 0 and held:
                room += size_of(heapq.heappop(held)[2])
    kept = sorted((record for _, _, record in held), key=lambda record: record.time_ns)
    blocks = [start, *(pcapng_writer.interface(*key) for key in interfaces)]
    blocks += [pcapng_writer.packet(interfaces[r.link, r.interface], r.time_ns, r.frame, r.length) for r in kept]
    return Extract(b"".join(blocks), len(kept), found - len(kept), unreadable)


def size_of(record: Record) -> int:
    """Bytes of a packet in a pcapng."""
    return pcapng_writer.OVERHEAD + len(record.frame) + -len(record.frame) % 4


def _files(folder: Path) -> Iterator[Path]:
    try:
        found = numbers(SystemDisk(), folder)
    except OSError:
        return
    for number in found:
        path = folder / f"{number:010}{SUFFIX}"
        if path.exists():
            yield path


def _comment(asked: Asked) -> str:
    about = " ".join(asked.about) or "every packet"
    words = (
        f"evidence around {iso(asked.around_ms)}, {asked.before_s:g} s before, {asked.after_s:g} s after: {about[:500]}"
    )
    return f"{words}; asked by {asked.by[:100]}{f': {asked.why[:300]}' if asked.why else ''}"


def note(path: Path, asked: Asked, made: Extract, now_ms: int) -> None:
    """Put on record who asked for what, and how much was given. Raises OSError."""
    line = {
        "at": iso(now_ms),
        **msgspec.to_builtins(asked),
        "packets": made.packets,
        "left_out": made.left_out,
        "bytes": len(made.data),
    }
    BoundedFile(path, RECORD_BYTES).append(msgspec.json.encode(line))


def folders(state: Path) -> list[Path]:
    """The rings of an agent, by the states of its inputs."""
    return sorted(path for path in state.glob(f"*/{FOLDER}") if path.is_dir())
