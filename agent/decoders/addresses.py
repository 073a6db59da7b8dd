"""Packed IP and link-layer addresses to the one text form of events. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from telemetry.errors import Permanent


@lru_cache(maxsize=4096)
def text(packed: bytes) -> str:
    """RFC 5952 text; an IPv4-mapped address is given as IPv4, as ``telemetry.event.canonical_ip`` does.

    Raises Permanent where it is neither 4 nor 16 bytes.
    """
    try:
        address = ipaddress.ip_address(packed)
    except ValueError as error:
        raise Permanent("bad_address", f"{len(packed)} bytes") from error
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def mac(octets: bytes) -> str:
    """Lower case with colons; of any length."""
    return ":".join(f"{octet:02x}" for octet in octets)
