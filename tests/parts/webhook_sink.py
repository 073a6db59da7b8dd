"""An HTTP server on loopback that keeps what is posted to it, and answers, delays or babbles as it is told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec


class Posted(msgspec.Struct, frozen=True):
    at: float
    """Monotonic."""
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        made: dict[str, Any] = msgspec.json.decode(self.body)
        return made


class Sink(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def __init__(self, host: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        self.posted: list[Posted] = []
        self.statuses: list[int] = []
        """Given to the next requests instead of 200."""
        self.delay_s = 0.0
        self.babble = b""
        """Sent instead of an answer."""
        self.drip = False
        """One byte of an answer now and then, without end."""
        self.url = ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what is tested."""

    def wait(self, count: int, seconds: float = 15.0) -> list[Posted]:
        until = time.monotonic() + seconds
        while len(self.posted) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.posted) >= count, f"{len(self.posted)} of {count} in {seconds} s"
        return self.posted


class Handler(BaseHTTPRequestHandler):
    server: Sink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.posted.append(Posted(time.monotonic(), self.path, dict(self.headers), body))
        time.sleep(self.server.delay_s)
        if self.server.drip:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for number in range(200):
                self.wfile.write(b"X-%d: y\r\n" % number)
                time.sleep(0.1)
        if self.server.babble:
            self.wfile.write(self.server.babble)
            self.close_connection = True
            return
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@contextlib.contextmanager
def start(host: str = "::1", certificate: Path | None = None) -> Iterator[Sink]:
    sink = Sink(host)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        sink.socket = context.wrap_socket(sink.socket, server_side=True, do_handshake_on_connect=False)
    shown = f"[{host}]" if ":" in host else host
    sink.url = f"{'https' if certificate else 'http'}://{shown}:{sink.server_port}/page"
    thread = threading.Thread(target=sink.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.shutdown()
        sink.server_close()
        thread.join()
