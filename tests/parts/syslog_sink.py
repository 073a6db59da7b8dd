"""A syslog receiver on loopback: datagrams, or octet-counted frames over TCP and TLS (RFC 5426, 6587, 5425)."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path


class Receiver:
    def __init__(self, port: int) -> None:
        self.port = port
        self.lines: list[bytes] = []

    def wait(self, count: int = 1, seconds: float = 10.0) -> list[bytes]:
        until = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.lines) >= count
        return self.lines


def frames(data: bytes) -> list[bytes]:
    """RFC 6587, 3.4.1."""
    made = []
    while data:
        length, _, rest = data.partition(b" ")
        made.append(rest[: int(length)])
        data = rest[int(length) :]
    return made


@contextlib.contextmanager
def start(transport: str, host: str = "::1", certificate: Path | None = None) -> Iterator[Receiver]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    listening = socket.socket(family, kind)
    listening.bind((host, 0))
    listening.settimeout(0.1)
    receiver = Receiver(listening.getsockname()[1])
    ended = threading.Event()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def serve() -> None:
        while not ended.is_set():
            try:
                if transport == "udp":
                    receiver.lines.append(listening.recv(65_536))
                    continue
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError, ValueError):
                connection.settimeout(5)
                if context is None:
                    receiver.lines += frames(_all(connection))
                else:
                    with context.wrap_socket(connection, server_side=True) as secure:
                        receiver.lines += frames(_all(secure))

    if transport != "udp":
        listening.listen()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        ended.set()
        thread.join()
        listening.close()


def _all(connection: socket.socket) -> bytes:
    data = b""
    while got := connection.recv(65_536):
        data += got
    return data
