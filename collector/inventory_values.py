"""The values people write into an inventory: read, made canonical, or told what to write instead."""

from __future__ import annotations

import ipaddress
import re

from collector.prefix_table import Network, unmapped

PHONE = re.compile(
    r"(\+86[- ]?)?(1[3-9]\d{9}|0\d{2,3}-?[2-9]\d{6,7}(-\d{1,6})?|400-?\d{3}-?\d{4}|[1-9]\d{2,5})|\+(?!86)\d{7,15}",
    re.ASCII,
)
PHONE_HINT = "a mobile number 13800000000, a landline 0791-83880000, or abroad +4930123456"
MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def parse_prefix(text: str) -> tuple[Network | None, str, str]:
    """The network, or None with what is wrong and what to write instead."""
    try:
        if "%" in text:
            raise ValueError("a zone has no place here")
        if "/" in text:
            return unmapped(ipaddress.ip_network(text)), "", ""
        address = ipaddress.ip_address(text)
        return None, f"{text!r} has no length", f"one address is {address}/{address.max_prefixlen}"
    except ValueError as error:
        try:
            right = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return None, f"{text!r} is not a prefix: {error}", "e.g. 2001:db8:1::/48 or 10.1.0.0/16"
        return None, f"{text} has host bits set", f"write {right}"


def canonical_mac(text: str) -> str:
    """Six pairs of hex digits, lower case, joined by colons; empty where it is no MAC address."""
    digits = re.sub(r"[-:.]", "", text.lower())
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def canonical_domain(text: str) -> str:
    """Lower case, without the last dot, Chinese labels as IDNA; empty where it is no domain name."""
    if len(text) > 1000:
        return ""
    try:
        name = text.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    labels = name.split(".")
    return name if len(name) <= 253 and len(labels) > 1 and all(map(LABEL.fullmatch, labels)) else ""


def domain_hint(text: str) -> str:
    """What was probably meant: the name within a URL."""
    bare = re.sub(r"^[a-z]+://", "", text.strip(), flags=re.IGNORECASE)
    bare = re.sub(r"[/:?#].*$", "", bare)
    return f"write {bare}" if bare != text and canonical_domain(bare) else "e.g. www.example.gov.cn"


def is_link_local(text: str) -> bool:
    """A link-local IPv6 address, as router advertisements come from; False for anything else."""
    try:
        address = ipaddress.ip_address(text)
        return address.version == 6 and address.is_link_local
    except ValueError:
        return False
