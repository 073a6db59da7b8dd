"""A collector's listener as small as it can be, over real TLS on [::1]: a CA, a server that says what a test wants."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

START = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2090, 1, 1, tzinfo=datetime.UTC)
PEM = serialization.Encoding.PEM


class Authority:
    def __init__(self, name: str = "test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (
            self._builder(self.name, self.key.public_key())
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)
            .sign(self.key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(START)
            .not_valid_after(END)
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    def issue(self, name: str, public: ec.EllipticCurvePublicKey) -> str:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = (
            self._builder(subject, public)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("::1"))]), False)
            .add_extension(issuer, False)
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(PEM).decode()

    def sign(self, csr_pem: str, name: str) -> str:
        public = x509.load_pem_x509_csr(csr_pem.encode()).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        return self.issue(name, public)

    def chain(self, name: str, path: Path) -> Path:
        """Key and certificate in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path.write_bytes(text + self.issue(name, key.public_key()).encode())
        return path


@dataclass
class Request:
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    peer: str
    """Common name of the client's certificate; empty without one."""


@dataclass
class Reply:
    """``cut``: close the connection instead of answering."""

    status: int = 200
    body: object = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


class Listener:
    """``answer`` is called for each request, in the server's thread."""

    def __init__(self, authority: Authority, folder: Path, answer: Callable[[Request], Reply]) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain("collector", folder / f"server-{id(self)}.pem"))
        context.load_verify_locations(cadata=authority.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def setup(self) -> None:
                self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()
                outer.connections += 1

            def finish(self) -> None:
                super().finish()
                self.request.close()

            def do_GET(self) -> None:
                self._any()

            def do_POST(self) -> None:
                self._any()

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                shown = self.request.getpeercert() or {}
                peer = next(
                    (value for rdn in shown.get("subject", ()) for name, value in rdn if name == "commonName"), ""
                )
                request = Request(self.command, self.path, body, dict(self.headers.items()), str(peer))
                outer.requests.append(request)
                reply = answer(request)
                if reply.cut:
                    self.close_connection = True
                    return
                data = (
                    b""
                    if reply.status == 304
                    else reply.body
                    if isinstance(reply.body, bytes)
                    else json.dumps(reply.body).encode()
                )
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("::1", 0), Handler)
        self.url = f"https://[::1]:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
