"""A whole exchange in bounded time: a peer that sends one byte now and then meets no socket timeout, but meets this."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def deadline(seconds: float, connection: socket.socket) -> Iterator[None]:
    """After ``seconds`` the connection is shut down, so that whoever reads or writes it gets an error at once.

    Where that looks like the end of an answer, TimeoutError is raised all the same: what was cut off is no answer.
    """
    own = socket.socket(fileno=os.dup(connection.fileno()))  # the same connection, also where TLS wraps the other
    passed = threading.Event()

    def cut() -> None:
        passed.set()
        with contextlib.suppress(OSError):
            own.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        own.close()
    if passed.is_set():
        raise TimeoutError(f"not done in {seconds:g} s")
