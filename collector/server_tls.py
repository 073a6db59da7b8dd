"""The TLS contexts of the two listeners, and their certificates, which renew themselves."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509

from collector.ca import Authority, milliseconds, new_key, write_private
from telemetry.clock import Clock
from telemetry.errors import ConfigError

RENEW_BEFORE_MS = 30 * 86_400_000


class OwnCertificate:
    """A server certificate of the own CA in ``<path>.pem``, made again when it ends soon or the names change."""

    def __init__(self, authority: Authority, path: Path, names: Iterable[str], clock: Clock) -> None:
        self._authority = authority
        self._path = path.with_suffix(".pem")
        self._names = tuple(dict.fromkeys(names))
        self._clock = clock
        self._contexts: list[ssl.SSLContext] = []

    def load_into(self, context: ssl.SSLContext) -> None:
        """Use it for this context, now and after every renewal."""
        self._contexts.append(context)
        self.renew()
        context.load_cert_chain(self._path)

    def renew(self) -> bool:
        """Make a new one if it is time; True where it was. Connections that are open keep the old one."""
        if self._good():
            return False
        key, key_pem = new_key()
        issued = self._authority.issue_server(key.public_key(), self._names)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._path, key_pem + issued.pem.encode() + self._authority.pem.encode())
        for context in self._contexts:
            context.load_cert_chain(self._path)
        return True

    def _good(self) -> bool:
        try:
            data = self._path.read_bytes()
            certificates = x509.load_pem_x509_certificates(data)
        except (OSError, ValueError):
            return False
        leaf = certificates[0]
        if not data.endswith(self._authority.pem.encode()):  # of another authority, before it was replaced
            return False
        now = self._clock.now_ms()
        if (
            not milliseconds(leaf.not_valid_before_utc)
            <= now
            < milliseconds(leaf.not_valid_after_utc) - RENEW_BEFORE_MS
        ):
            return False
        have = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = {str(n.value) for n in have}
        return {name.partition("%")[0] for name in self._names} <= names


def agent_context(authority: Authority) -> ssl.SSLContext:
    """For the agents' listener: TLS 1.3, a client certificate of the own CA or none at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority.pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0  # a resumed session would skip the certificate
    context.set_alpn_protocols(["http/1.1"])
    return context


def console_context() -> ssl.SSLContext:
    """For the console's listener: TLS 1.2 and newer, as browsers need it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def load_configured(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Raises ConfigError where the configured files can not be used."""
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        hint = "PEM files: the certificate chain, and its private key without a password"
        raise ConfigError.one(str(certificate), f"the console's certificate can not be used: {error}", hint) from error
