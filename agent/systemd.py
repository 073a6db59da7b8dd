"""Tell systemd how the agent is (sd_notify(3)). Does nothing where ``NOTIFY_SOCKET`` is not set."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micros = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(micros) / 2e6 if self._address and micros.isdigit() else 0.0
        """How often ``alive`` must be called; 0: not at all."""

    def ready(self) -> None:
        self._send("READY=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def alive(self, text: str) -> None:
        self._send(f"WATCHDOG=1\nSTATUS={text}")

    def _send(self, message: str) -> None:
        if self._address:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(message.encode(), self._address)
