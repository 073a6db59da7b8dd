"""A file of lines that can not fill the disk: at its bound it becomes ``<name>.1`` and begins anew."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class BoundedFile:
    """Keeps the newest ``max_bytes`` to twice that. Mode 0600. Safe for several threads."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._lock = threading.Lock()

    def append(self, line: bytes) -> None:
        """Raises OSError."""
        with self._lock:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, line + b"\n")
                size = os.fstat(fd).st_size
            finally:
                os.close(fd)
            if size > self._max_bytes:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
