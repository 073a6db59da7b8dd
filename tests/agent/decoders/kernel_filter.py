"""Filters judged by the kernel itself: a filter on a UNIX datagram socket sees each datagram as a frame."""

from __future__ import annotations

import array
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator

SO_ATTACH_FILTER = 26
Passes = Callable[[bytes], bool]


@contextlib.contextmanager
def kernel(program: bytes) -> Iterator[Passes]:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    held = array.array("B", program)
    address, size = held.buffer_info()
    there.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))
    there.setblocking(False)

    def passes(frame: bytes) -> bool:
        with contextlib.suppress(PermissionError):  # a refused datagram is an error to a UNIX sender
            here.send(frame)
        try:
            return bool(there.recv(65536))
        except BlockingIOError:
            return False

    with here, there:
        yield passes
