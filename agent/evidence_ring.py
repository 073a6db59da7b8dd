"""The last megabytes of the packets that were taken, on this host's disk: what an alert can be looked at with.

Files ``<number>.pcapng`` in one folder, each a pcapng that any program reads. Before a write the oldest files go until
what is there and what is to be written is within the bound, so the bound is never passed, not for a moment. Written are
headers only, unless the configuration says otherwise. A ring that a flood could wash through in seconds is no evidence:
what would make it span less than SPAN_S is left out and counted. A disk that is full costs evidence, never the input.
After a restart a new file is begun behind the old ones; a torn end of the last one is passed over by its reader.
"""

from __future__ import annotations

from pathlib import Path

from agent.decoders import pcapng_writer
from agent.decoders.header_end import headers
from agent.disk import Disk, File, SystemDisk
from telemetry import __version__
from telemetry.clock import Clock
from telemetry.report import Report

FILES = 16
MAX_FILES = 4 * FILES
"""Where an agent starts again and again, its files are small and many."""
FOLDER = "evidence"
SUFFIX = ".pcapng"
BUFFER = 64 << 10
SPAN_S = 60.0
BURST_S = 10.0
"""What was not used of the rate may be used later: so many seconds of it."""
RETRY_S = 30.0
"""After the disk refused."""
MAX_INTERFACES = 256
"""Of one file; a host that makes interfaces all the time begins a new file."""


class EvidenceRing:
    """``add`` never blocks on more than a write to the page cache, and never raises. ``flush`` about once a second."""

    def __init__(
        self, folder: Path, max_bytes: int, payload: bool, clock: Clock, report: Report, disk: Disk | None = None
    ) -> None:
        self._folder, self._max, self._payload = folder, max_bytes, payload
        self._clock, self._report, self._disk = clock, report, disk or SystemDisk()
        self._sizes: dict[int, int] = {}
        self._file: File | None = None
        self._number = 0
        self._interfaces: dict[tuple[int, str], int] = {}
        self._buffer = bytearray()
        self._buffered = 0
        self._lost: dict[str, int] = {}
        self._retry_at = float("-inf")
        self._rate = max_bytes / SPAN_S
        self._allowance = self._rate * BURST_S
        self._filled_at = clock.monotonic()
        self._known = False

    def add(self, time_ns: int, link: int, interface: str, frame: bytes, length: int) -> None:
        """Keep one packet; what can not be kept is counted."""
        if not self._payload:
            frame = frame[: headers(link, frame)]
        size = len(frame) + pcapng_writer.OVERHEAD + 3
        if self._allowance < size:
            self._lose("rate")
            return
        number = self._interfaces.get((link, interface))
        if number is None:
            if len(self._interfaces) >= MAX_INTERFACES:
                self._roll()
            number = self._interfaces[link, interface] = len(self._interfaces)
            self._buffer += pcapng_writer.interface(link, interface)
        self._allowance -= size
        self._buffer += pcapng_writer.packet(number, time_ns, frame, length)
        self._buffered += 1
        if len(self._buffer) >= min(BUFFER, self._max // FILES // 2):
            self._write()

    def flush(self) -> None:
        """To the file what is held, and to the report what was lost."""
        now = self._clock.monotonic()
        self._allowance = min(self._allowance + (now - self._filled_at) * self._rate, self._rate * BURST_S)
        self._filled_at = now
        if self._buffered:
            self._write()
        for reason, count in self._lost.items():
            self._report.count("tengwang_evidence_lost_total", count, reason=reason)
        self._lost.clear()

    def close(self) -> None:
        self.flush()
        self._roll()

    def size(self) -> int:
        """What is on the disk."""
        return sum(self._sizes.values())

    def _lose(self, reason: str, count: int = 1) -> None:
        self._lost[reason] = self._lost.get(reason, 0) + count

    def _write(self) -> None:
        count, self._buffered = self._buffered, 0
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._clock.monotonic() < self._retry_at:
            self._lose("disk", count)
            self._interfaces.clear()
            return
        try:
            self._append(data)
        except OSError as error:
            self._lose("disk", count)
            self._retry_at = self._clock.monotonic() + RETRY_S
            self._report.warn("evidence", f"{self._folder}: {error.strerror or error}; packets are not kept for now")
            self._give_back()
        else:
            if self._sizes[self._number] >= self._max // FILES:
                self._roll()

    def _append(self, data: bytes) -> None:
        """Raises OSError; then nothing of it counts."""
        if not self._known:
            self._look()
        start = b""
        if self._file is None:
            start = pcapng_writer.section(f"tengwang-agent {__version__}")
        self._make_room(len(start) + len(data))
        if self._file is None:
            self._number = max(self._sizes, default=0) + 1
            self._file = self._disk.open(self._path(self._number))
            self._sizes[self._number] = self._file.size()
        self._file.append(start + data)
        self._sizes[self._number] = self._file.size()

    def _look(self) -> None:
        """What an earlier run left."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in numbers(self._disk, self._folder):
            file = self._disk.open(self._path(number))
            self._sizes[number] = file.size()
            file.close()
        self._known = True

    def _make_room(self, size: int) -> None:
        for number in sorted(self._sizes):
            if self.size() + size <= self._max and len(self._sizes) < MAX_FILES:
                return
            if number == self._number and self._file is not None:
                return
            self._disk.remove(self._path(number))
            del self._sizes[number]

    def _give_back(self) -> None:
        """A write failed half-way: that file ends where the write began, and another is begun later."""
        if self._file is not None:
            size = self._sizes.get(self._number, 0)
            try:
                self._file.truncate(size)
                if not size:
                    self._disk.remove(self._path(self._number))
                    self._sizes.pop(self._number, None)
            except OSError:
                self._sizes[self._number] = self._file.size()
        self._roll()

    def _roll(self) -> None:
        """The next packet begins a new file."""
        if self._buffered:
            self._write()
        if self._file is not None:
            self._file.close()
            self._file = None
        self._interfaces.clear()

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:010}{SUFFIX}"


def numbers(disk: Disk, folder: Path) -> list[int]:
    """Of the files of a ring, the oldest first. Raises OSError."""
    names = [name.removesuffix(SUFFIX) for name in disk.names(folder) if name.endswith(SUFFIX)]
    return sorted(int(name) for name in names if name.isdecimal())
