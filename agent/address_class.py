"""What kind of IPv6 address a record points at, so that an AAAA that nobody can reach does not count."""

from __future__ import annotations

import ipaddress

DOCUMENTATION = tuple(map(ipaddress.IPv6Network, ("2001:db8::/32", "3fff::/20")))
"""RFC 3849, RFC 9637."""
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""RFC 4291 section 2.4 and the IANA registry: the only space that is allocated."""
KINDS = (
    ("mapped", ipaddress.IPv6Network("::ffff:0:0/96")),
    ("unique-local", ipaddress.IPv6Network("fc00::/7")),
    ("link-local", ipaddress.IPv6Network("fe80::/10")),
    ("6to4", ipaddress.IPv6Network("2002::/16")),
    ("teredo", ipaddress.IPv6Network("2001::/32")),
    ("multicast", ipaddress.IPv6Network("ff00::/8")),
    ("loopback", ipaddress.IPv6Network("::1/128")),
)


def kind(address: str) -> str:
    """``global``, ``unique-local``, ``documentation``, ``mapped`` ... or ``reserved``; ``malformed`` for no address."""
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return "malformed"
    if any(parsed in network for network in DOCUMENTATION):
        return "documentation"
    for name, network in KINDS:
        if parsed in network:
            return name
    return "global" if parsed in GLOBAL_UNICAST else "reserved"


def approachable(address: str) -> bool:
    """Whether a record may be connected to at all: not the agent itself, not a group, not IPv4 in disguise."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified)


def usable(address: str, private: bool) -> bool:
    """Whether a system may stand at this address: global unicast, or unique-local where it is not published outside."""
    found = kind(address)
    return found == "global" or (private and found == "unique-local")
