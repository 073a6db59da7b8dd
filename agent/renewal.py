"""Keeps the certificate alive: at half its life, and again and again while that fails, it is renewed.

Renewal runs as a process of its own (``tengwang-agent renew``): it needs the cryptography package for a second
a fortnight, which would cost the agent 15 MB of memory for ever.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from agent import identity
from agent.home import Home
from telemetry.clock import Clock
from telemetry.errors import ConfigError
from telemetry.report import Report

RETRY_SECONDS = 600.0
TIMEOUT_SECONDS = 120.0


class Renewal:
    """``consider`` is called every few seconds from one thread; the work is done in another."""

    def __init__(
        self, home: Home, enrolled: identity.Enrolled, clock: Clock, report: Report, renewed: Callable[[], None]
    ) -> None:
        self._home, self.enrolled, self._clock, self._report = home, enrolled, clock, report
        self._renewed = renewed
        self._not_before = 0.0
        self._busy = False

    def consider(self) -> None:
        due = self._clock.now_ms() >= self.enrolled.renew_at_ms
        if due and not self._busy and self._clock.monotonic() >= self._not_before:
            self._busy = True
            threading.Thread(target=self._renew, name="renewal", daemon=True).start()

    def _renew(self) -> None:
        words = [sys.executable, "-m", "agent.main", "renew", "--home", str(self._home.path)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)  # noqa: S603 - our own program
            if done.returncode:
                self._report.warn("renewal", f"{done.stderr.strip()[-500:]}; it is tried again")
            else:
                self.enrolled = identity.read(self._home)
                self._report.info("renewal", "the certificate was renewed")
                self._renewed()
        except (OSError, subprocess.SubprocessError, ConfigError) as error:
            self._report.warn("renewal", f"{error}; it is tried again")
        finally:
            self._not_before = self._clock.monotonic() + RETRY_SECONDS
            self._busy = False
