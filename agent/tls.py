"""TLS as the agent speaks it: to a collector it knows, with the certificate it was given."""

from __future__ import annotations

import ssl

from agent import identity
from agent.home import Home


def client_context(home: Home) -> ssl.SSLContext:
    """Mutual TLS with the enrolled identity. Raises OSError, ssl.SSLError."""
    context = _client()
    context.load_verify_locations(cafile=str(home.identity / identity.CA))
    context.load_cert_chain(identity.key_file(home))
    return context


def trusting(ca_pem: str) -> ssl.SSLContext:
    """A client that trusts this CA only. Raises ssl.SSLError."""
    context = _client()
    context.load_verify_locations(cadata=ca_pem)
    return context


def unverified() -> ssl.SSLContext:
    """Only to fetch the CA that a pin is held against; nothing secret may be sent over it."""
    context = _client()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
