"""The agent's work on disk, so that it goes on while no collector can be reached. Mode 0600: it holds credentials."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from agent.home import write_private
from telemetry import work
from telemetry.report import Report
from telemetry.work import Work


class WorkFile:
    """``current`` and ``take`` may be called from any thread."""

    def __init__(self, path: Path, report: Report) -> None:
        self._path, self._report = path, report
        self._lock = threading.Lock()
        self._work = self._read()

    def _read(self) -> Work:
        try:
            return work.decode(self._path.read_bytes())
        except FileNotFoundError:
            return Work()
        except OSError as error:
            self._report.error("work", f"{self._path} can not be read: {error.strerror}")
        except msgspec.DecodeError:
            # What is wrong is not shown: the text around it may be a credential.
            self._report.error("work", f"{self._path} is damaged; it is fetched again")
        return Work()

    def current(self) -> Work:
        return self._work

    def take(self, given: Work) -> None:
        """Use it from now on and keep it. A disk that can not take it costs only the keeping."""
        with self._lock:
            self._work = given
            try:
                write_private(self._path, work.encode(given))
            except OSError as error:
                self._report.warn("work", f"{self._path} can not be written: {error.strerror}")
        self._report.info("work", f"work {given.version}: {len(given.snmp)} devices, {len(given.systems)} systems")
