"""A certificate authority of a test's own, and a server certificate for loopback."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def make(folder: Path, name: str = "server", *, addresses: tuple[str, ...] = ("::1", "127.0.0.1")) -> tuple[Path, Path]:
    """The CA's PEM file, and one with the server's certificate and key."""
    now = datetime.datetime.fromisoformat("2020-01-01T00:00:00+00:00")
    end = datetime.datetime.fromisoformat("2120-01-01T00:00:00+00:00")
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {name}")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])

    def builder(who: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(who).issuer_name(issuer).public_key(public)
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(now).not_valid_after(end)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = builder(issuer, ca_key.public_key()).add_extension(x509.BasicConstraints(True, 0), critical=True)
    ca = ca.add_extension(usage, critical=True)
    ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses)]
    own = builder(subject, key.public_key()).add_extension(x509.SubjectAlternativeName(names), critical=False)
    own = own.add_extension(x509.BasicConstraints(False, None), critical=True)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    own = own.add_extension(authority, critical=False)
    pem = serialization.Encoding.PEM
    ca_path, path = folder / f"{name}-ca.pem", folder / f"{name}.pem"
    ca_path.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(own.sign(ca_key, hashes.SHA256()).public_bytes(pem) + secret)
    return ca_path, path
