"""The collector's own certificate authority: who may speak to it, and how it shows who it is.

P-256 keys throughout. The CA's key never leaves its directory (mode 0600, made before anything is written to it).
Several collectors of one site share one CA directory, copied by the operator, so that agents may go to any of them.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from telemetry.clock import EPOCH, Clock
from telemetry.errors import ConfigError, Permanent
from telemetry.order import to_be_signed

CA_YEARS = 20
SERVER_DAYS = 90
BACKDATE = datetime.timedelta(days=300)
"""Certificates start early, though not before their authority: a collector or agent whose clock is wrong by days can
still be spoken to, and reports just that. What counts is the end of a certificate, and whether it was revoked."""
MAX_CSR = 16_384


class Issued(msgspec.Struct, frozen=True):
    """A certificate, PEM; ``serial`` in lower-case hex."""

    pem: str
    serial: str
    not_after_ms: int


class Authority:
    """Issues certificates. ``open`` makes the authority where there is none."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, clock: Clock) -> None:
        self._key = key
        self._certificate = certificate
        self._clock = clock
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        spki = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.pin = hashlib.sha256(spki).hexdigest()

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> Authority:
        """Read ``ca.key`` and ``ca.pem``, or make them. Raises ConfigError where they are there but not usable."""
        key_path, certificate_path = directory / "ca.key", directory / "ca.pem"
        if not key_path.exists() and not certificate_path.exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(key_path, certificate_path, clock)
        try:
            key = serialization.load_pem_private_key(key_path.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            hint = "restore ca.key and ca.pem from a backup; without them every agent must be enrolled again"
            raise ConfigError.one(
                str(directory), f"the certificate authority can not be read: {error}", hint
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ConfigError.one(str(directory), "ca.key and ca.pem do not belong together", "restore both")
        return cls(key, certificate, clock)

    def sign_order(self, payload: str) -> str:
        """A signature over an order (telemetry/order.py), base64; what is signed can not pass for a certificate."""
        signature = self._key.sign(to_be_signed(payload), ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(signature).decode()

    def derived(self, purpose: str) -> bytes:
        """A secret of 32 bytes for one purpose (RFC 5869), the same for all collectors that share this authority."""
        scalar = self._key.private_numbers().private_value.to_bytes(32, "big")
        return HKDF(hashes.SHA256(), 32, None, f"tengwang {purpose}".encode()).derive(scalar)

    def issue_agent(self, csr_pem: str, agent_id: str, days: float) -> Issued:
        """A client certificate for the key in the request. Raises Permanent ``bad_csr``.

        Only the key is taken from the request: the name is the agent's id, whatever it asks for.
        """
        if len(csr_pem) > MAX_CSR:
            raise Permanent("bad_csr", "the certificate request is too long")
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
            valid = request.is_signature_valid
            key = request.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise Permanent("bad_csr", f"not a certificate request: {error}") from error
        if not valid:
            raise Permanent("bad_csr", "the certificate request is not signed by its own key")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Permanent("bad_csr", "the key must be on the curve P-256")
        return self._issue(key, agent_id, [], datetime.timedelta(days=days), ExtendedKeyUsageOID.CLIENT_AUTH)

    def issue_server(self, key: ec.EllipticCurvePublicKey, names: Iterable[str]) -> Issued:
        """A server certificate for host names and addresses."""
        made: list[x509.GeneralName] = []
        for name in dict.fromkeys(names):
            try:
                made.append(x509.IPAddress(ipaddress.ip_address(name.partition("%")[0])))
            except ValueError:
                made.append(x509.DNSName(name.encode("idna").decode() if not name.isascii() else name))
        return self._issue(
            key, "tengwang-collector", made, datetime.timedelta(days=SERVER_DAYS), ExtendedKeyUsageOID.SERVER_AUTH
        )

    def _issue(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        alternatives: list[x509.GeneralName],
        validity: datetime.timedelta,
        usage: x509.ObjectIdentifier,
    ) -> Issued:
        now = moment(self._clock.now_ms())
        end = min(now + validity, self._certificate.not_valid_after_utc)
        start = max(now - BACKDATE, self._certificate.not_valid_before_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(start, end))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        made = builder.sign(self._key, hashes.SHA256())
        pem = made.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(pem, f"{made.serial_number:x}", milliseconds(made.not_valid_after_utc))


def new_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """A new P-256 key, and the same as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key, pem


def write_private(path: Path, data: bytes) -> None:
    """Replace a file whole; nobody but the owner may ever read it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def moment(ms: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(milliseconds=ms)


def milliseconds(when: datetime.datetime) -> int:
    return (when - EPOCH) // datetime.timedelta(milliseconds=1)


def _make(key_path: Path, certificate_path: Path, clock: Clock) -> None:
    key, pem = new_key()
    now = moment(clock.now_ms())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Tengwang CA {os.urandom(4).hex()}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=365 * CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, pem)
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
