"""TLS towards a server that somebody configured: its certificate and name are always checked."""

from __future__ import annotations

import ssl

from telemetry.errors import ConfigError


def tls_context(ca_file: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; the peer's name is always checked. Raises ConfigError."""
    try:
        made = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError.one("notifiers: ca_file", f"{ca_file} can not be used: {error}") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
