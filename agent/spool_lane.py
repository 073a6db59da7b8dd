"""One lane of the spool: the pages of one priority, written at one end and read at the other."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import spool_page
from agent.disk import Disk, File
from agent.spool_ledger import EpochState

FRAME_BYTES = 256 * 1024
FRAME_RECORDS = 4096
BLOCK = 4096
_NAME = re.compile(r"(\d{1,19})-(\d{1,19})\.page")


@dataclass(slots=True)
class Page:
    """A file of frames of one epoch. ``last`` is the highest sequence in it, ``stamp`` the newest frame's."""

    path: Path
    epoch: int
    first: int
    last: int
    size: int
    stamp: int

    @property
    def room(self) -> int:
        """What it takes of the disk."""
        return -(-self.size // BLOCK) * BLOCK


def page_name(epoch: int, first: int) -> str:
    return f"{epoch}-{first}.page"


def parse_name(name: str) -> tuple[int, int] | None:
    """Epoch and first sequence, where it is the name of a page."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else None


def open_page(disk: Disk, path: Path, epoch: int, first: int) -> tuple[Page, int]:
    """A page of a former run, and how many bytes at its end were torn off (never accepted)."""
    file = disk.open(path)
    with contextlib.closing(file):
        size = file.size()
        page = Page(path, epoch, first, first - 1, size, 0)
        tail = spool_page.tail_frame(file, size)
        if tail is not None and tail.epoch == epoch and tail.first >= first:
            page.last, page.stamp = tail.last, tail.stamp
            return page, 0
        end = 0
        for frame in spool_page.frames(file, 0, size):
            if frame.epoch != epoch or frame.first <= page.last:
                continue
            last = frame.last
            if frame.end > size or not spool_page.is_whole(file, frame):
                good = [record is not None for record in spool_page.records(file, frame)]
                last = frame.first + max((i for i, ok in enumerate(good) if ok), default=-1)
            page.last, page.stamp, end = max(page.last, last), frame.stamp, min(frame.end, size)
        return page, size - end


class Lane:
    """Pages in the order in which they were written. Not safe for several threads: the spool holds its lock."""

    def __init__(self, disk: Disk, folder: Path, page_bytes: int) -> None:
        self._disk, self._folder, self._page_bytes = disk, folder, page_bytes
        self.pages: deque[Page] = deque()
        self.room = 0
        """What all pages take of the disk."""
        self._active: File | None = None
        self._reading: tuple[Page, File] | None = None
        self._offset = 0
        self._expect = 0
        self._torn = False

    def write(self, epoch: int, first: int, records: Sequence[bytes], stamp: int) -> None:
        """Durable when it returns. Raises OSError; nothing of the records is in the lane then."""
        data = b"".join(
            spool_page.encode(epoch, first + start, records[start:end], stamp) for start, end in _split(records)
        )
        page = self.pages[-1] if self._active else None
        if page is None or page.epoch != epoch or page.size + len(data) > self._page_bytes:
            page = self._new_page(epoch, first)
        file = self._active
        if file is None:
            raise OSError("the page is closed")
        if self._torn:
            file.truncate(page.size)
            self._torn = False
        try:
            file.append(data)
            file.sync()
        except OSError:
            self._torn = True
            file.truncate(page.size)
            self._torn = False
            raise
        self.room -= page.room
        page.size += len(data)
        self.room += page.room
        page.last = first + len(records) - 1
        page.stamp = stamp

    def _new_page(self, epoch: int, first: int) -> Page:
        if self._torn and self._active is not None:
            self._active.truncate(self.pages[-1].size)
            self._torn = False
        page = self.pages[-1] if self.pages else None
        if page is None or page.epoch != epoch or page.first != first or self._active is None:
            self.seal()
            page = Page(self._folder / page_name(epoch, first), epoch, first, first - 1, 0, 0)
            self._active = self._disk.open(page.path)
            self._active.truncate(0)
            self._disk.sync_folder(self._folder)
            self.pages.append(page)
        return page

    def adopt(self, page: Page) -> None:
        """Put a page of a former run behind the others."""
        self.pages.append(page)
        self.room += page.room

    def writes_to(self, page: Page) -> bool:
        return self._active is not None and page is self.pages[-1]

    def seal(self) -> None:
        """Write no more to the newest page."""
        if self._active is not None:
            self._active.close()
            self._active = None

    def take(self, page: Page) -> None:
        """Take a page out of the lane; its file is the spool's to unlink."""
        if page is self.pages[-1]:
            self.seal()
        if self._reading and self._reading[0] is page:
            self._stop_reading()
        self.pages.remove(page)
        self.room -= page.room

    def read(self, state: EpochState, max_records: int, max_bytes: int) -> tuple[list[tuple[int, bytes]], list[int]]:
        """From the oldest page: what is not gone, in order, and which sequences turned out damaged.

        Both empty: nothing of that page is left.
        """
        page = self.pages[0]
        if self._reading is None or self._reading[0] is not page:
            self._stop_reading()
            self._reading, self._offset, self._expect = (page, self._disk.open(page.path)), 0, page.first
        file = self._reading[1]
        found: list[tuple[int, bytes]] = []
        damaged: list[int] = []
        size, expect, leading = 0, self._expect, True
        for frame in spool_page.frames(file, self._offset, page.size):
            if frame.epoch != page.epoch or frame.first < expect:
                continue
            damaged.extend(n for r in state.gone.missing(expect, frame.first - 1) for n in range(r[0], r[1] + 1))
            expect = frame.last + 1
            if not (leading := leading and not damaged and state.gone.holds(frame.first, frame.last)):
                for sequence, record in enumerate(spool_page.records(file, frame), frame.first):
                    if sequence in state.gone or sequence > page.last:
                        continue
                    if record is None:
                        damaged.append(sequence)
                        continue
                    size += len(record)
                    if found and (size > max_bytes or len(found) >= max_records):
                        return found, damaged
                    found.append((sequence, record))
            else:
                self._offset, self._expect = frame.end, expect
        damaged.extend(n for r in state.gone.missing(expect, page.last) for n in range(r[0], r[1] + 1))
        return found, damaged

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def close(self) -> None:
        self.seal()
        self._stop_reading()


def _split(records: Sequence[bytes]) -> list[tuple[int, int]]:
    """Ranges of records, each small enough for one frame."""
    cuts, size, start = [], 0, 0
    for index, record in enumerate(records):
        if index > start and (size + len(record) > FRAME_BYTES or index - start >= FRAME_RECORDS):
            cuts.append((start, index))
            start, size = index, 0
        size += len(record)
    cuts.append((start, len(records)))
    return cuts
