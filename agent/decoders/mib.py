"""What the values of SNMPv2-MIB, IF-MIB, IP-MIB and IPV6-MIB objects mean. Pure functions over decoded bindings."""

from __future__ import annotations

import functools
import ipaddress
import tomllib
from collections.abc import Mapping
from importlib import resources

from agent.decoders.ber import Oid, Value

ENTERPRISES: Oid = (1, 3, 6, 1, 4, 1)

ADMIN_STATUS = {1: "up", 2: "down", 3: "testing"}
OPER_STATUS = {1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent", 7: "lowerLayerDown"}
"""RFC 2863."""
INTERFACE_TYPE = {
    1: "other", 6: "ethernetCsmacd", 22: "propPointToPointSerial", 23: "ppp", 24: "softwareLoopback", 53: "propVirtual",
    117: "gigabitEthernet", 131: "tunnel", 135: "l2vlan", 136: "l3ipvlan", 150: "mplsTunnel", 161: "ieee8023adLag",
    166: "mpls", 209: "bridge",
}  # fmt: skip
"""IANAifType-MIB, those that network devices of the extranet have; another is shown as its number."""
ADDRESS_ORIGIN = {1: "other", 2: "manual", 4: "dhcp", 5: "linklayer", 6: "random"}
ADDRESS_STATUS = {
    1: "preferred", 2: "deprecated", 3: "invalid", 4: "inaccessible", 5: "unknown", 6: "tentative", 7: "duplicate",
    8: "optimistic",
}  # fmt: skip
"""RFC 4293."""
IPV6_ADDR_ORIGIN = {1: "linklayer", 2: "dhcp", 3: "other"}
"""RFC 2465 ipv6AddrType stateless(1), stateful(2), unknown(3), in the words of RFC 4293."""
IPV6_ADDR_STATUS = {1: "preferred", 2: "deprecated", 3: "invalid", 4: "inaccessible", 5: "unknown"}
"""RFC 2465."""


def text(value: Value) -> str:
    """An octet string for people: UTF-8, else GB 18030 (devices sold in China), else Latin-1; no control characters."""
    if not isinstance(value, bytes):
        return ""
    raw = value.rstrip(b"\0")[:4096]
    for encoding in ("utf-8", "gb18030"):
        try:
            decoded = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        decoded = raw.decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in decoded).strip()[:4096]


def number(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def dotted(value: Value) -> str:
    return ".".join(map(str, value)) if isinstance(value, tuple) else ""


def mac(value: Value) -> str:
    """ifPhysAddress of six bytes as ``00:1b:2c:..``; empty for anything else (tunnels, loopback)."""
    return value.hex(":") if isinstance(value, bytes) and len(value) == 6 else ""


def named(value: Value, names: Mapping[int, str]) -> str:
    """The enumeration's word, or the number itself where it has none."""
    return names.get(value, str(value)) if isinstance(value, int) else ""


def vendor(object_id: Value) -> str:
    """The vendor behind a sysObjectID, or ``enterprise N``; empty where it is no enterprise's."""
    if not isinstance(object_id, tuple) or object_id[:6] != ENTERPRISES or len(object_id) < 7:
        return ""
    return _enterprises().get(str(object_id[6]), f"enterprise {object_id[6]}")


@functools.cache
def _enterprises() -> dict[str, str]:
    return tomllib.loads(resources.files("agent.devices").joinpath("enterprises.toml").read_text(encoding="utf-8"))


def address(parts: Oid) -> str:
    """RFC 5952 text of 4 or 16 address bytes as index parts; empty where it is none."""
    if len(parts) not in (4, 16) or max(parts) > 255:
        return ""
    return str(ipaddress.ip_address(bytes(parts)))


def inet_address_index(index: Oid) -> str:
    """The address in an index InetAddressType, InetAddress (RFC 4001); zoned types lose their zone.

    The length before the bytes is left out by some agents, so both forms are read. Empty where it is no address.
    """
    size = {1: 4, 2: 16, 3: 4, 4: 16}.get(index[0] if index else 0, 0)
    for start in (2, 1):
        body = index[start : start + size]
        if len(index) - start in (size, size + 4) and (start == 1 or index[1] in (size, size + 4)):
            return address(body) if size else ""
    return ""


def ipv6_addr_index(index: Oid) -> tuple[int, str]:
    """(ipv6IfIndex, address) of an ipv6AddrTable index (RFC 2465), with or without a length before the bytes."""
    if len(index) == 17:
        return index[0], address(index[1:])
    if len(index) == 18 and index[1] == 16:
        return index[0], address(index[2:])
    return 0, ""


def prefix_length(pointer: Value, mask: Value = None) -> int | None:
    """From ipAddressPrefix, a row pointer whose last part is the length; or from a v4 netmask."""
    if isinstance(pointer, tuple) and len(pointer) > 11 and 0 <= pointer[-1] <= 128:
        return pointer[-1]
    if isinstance(mask, bytes) and len(mask) == 4:
        bits = int.from_bytes(mask, "big")
        ones = bits.bit_count()
        return ones if bits == (0xFFFF_FFFF << (32 - ones)) & 0xFFFF_FFFF else None
    return None


def scope(ip: str) -> str:
    """``tengwang.address.scope`` of an address."""
    parsed = ipaddress.ip_address(ip)
    if parsed.is_loopback:
        return "host"
    if parsed.is_link_local:
        return "link"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.is_site_local:
            return "site"
        if parsed in UNIQUE_LOCAL:
            return "unique-local"
    return "global"


UNIQUE_LOCAL = ipaddress.ip_network("fc00::/7")
"""RFC 4193."""
