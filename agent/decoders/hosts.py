"""From rtnetlink records to the fields of ``tengwang.host`` events, in the words of IF-MIB and IP-MIB. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable, Iterable

from agent.decoders.rtnetlink import Address, Link, Neighbor, Route
from telemetry.event import Event

NUD_NOARP = 0x40
NUD = {
    1: "incomplete",
    2: "reachable",
    4: "stale",
    8: "delay",
    16: "probe",
    32: "failed",
    64: "noarp",
    128: "permanent",
}
ALIVE = 2 | 4 | 8 | 16
NTF_ROUTER = 0x80
OPERATIONAL = ("unknown", "notPresent", "down", "lowerLayerDown", "testing", "dormant", "up")
HARDWARE = {1: "ethernetCsmacd", 24: "ieee1394", 32: "infiniband", 512: "ppp", 768: "tunnel", 769: "tunnel",
            772: "softwareLoopback", 776: "tunnel", 778: "tunnel", 801: "ieee80211", 65534: "tunnel"}  # fmt: skip
PROTOCOLS = {1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 11: "zebra", 12: "bird", 16: "dhcp",
             18: "keepalived", 186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp"}  # fmt: skip
FOR_EVER = 0xFFFFFFFF
TEMPORARY, OPTIMISTIC, DAD_FAILED, DEPRECATED, TENTATIVE = 0x01, 0x04, 0x08, 0x20, 0x40
FROM_LOOPBACK, FROM_RA, FROM_LINK_LOCAL = 1, 2, 3
MAX_LISTED = 256
UNIQUE_LOCAL, SITE_LOCAL = ipaddress.ip_network("fc00::/7"), ipaddress.ip_network("fec0::/10")


def host(links: Iterable[Link], addresses: Iterable[Address]) -> Event:
    """``host.ip`` and ``host.mac``, without loopback and link-local; cut at MAX_LISTED, the tables have all."""
    ips = {address.ip for address in addresses if scope(address.ip) not in ("host", "link")}
    macs = {link.mac for link in links if link.mac.strip("0:")}
    return {"host.ip": sorted(ips)[:MAX_LISTED], "host.mac": sorted(macs)[:MAX_LISTED]}


def interface(link: Link, speed: int) -> Event:
    """One interface with its counters; ``speed`` in bits a second, 0 where unknown."""
    counters = link.counters
    fields: Event = {
        "tengwang.interface.index": link.index,
        "tengwang.interface.name": link.name,
        "tengwang.interface.type": link.kind or HARDWARE.get(link.hardware, "other"),
        "tengwang.interface.mtu": link.mtu,
        "tengwang.interface.admin_status": "up" if link.up else "down",
        "tengwang.interface.oper_status": _operational(link),
        "tengwang.interface.in_octets": counters.in_octets,
        "tengwang.interface.out_octets": counters.out_octets,
        "tengwang.interface.in_packets": counters.in_packets,
        "tengwang.interface.out_packets": counters.out_packets,
        "tengwang.interface.in_errors": counters.in_errors,
        "tengwang.interface.out_errors": counters.out_errors,
        "tengwang.interface.in_discards": counters.in_discards,
        "tengwang.interface.out_discards": counters.out_discards,
    }
    if link.mac:
        fields["tengwang.interface.mac"] = link.mac
    if link.alias:
        fields["tengwang.interface.alias"] = link.alias
    if speed:
        fields["tengwang.interface.speed"] = speed
    return fields


def address(found: Address, link: Link | None) -> Event:
    return {
        **_interface(found.index, link),
        "tengwang.address.ip": found.ip,
        "tengwang.address.prefix_length": found.prefix_length,
        "tengwang.address.scope": scope(found.ip),
        "tengwang.address.status": _status(found, link),
        "tengwang.address.origin": _origin(found, link),
    }


def route(found: Route, link: Link | None) -> Event:
    fields: Event = {
        **_interface(found.index, link),
        "tengwang.route.prefix": found.prefix,
        "tengwang.route.protocol": PROTOCOLS.get(found.protocol, str(found.protocol)),
        "tengwang.route.metric": found.metric,
    }
    if found.next_hop:
        fields["tengwang.route.next_hop"] = found.next_hop
    return fields


def neighbor(found: Neighbor, link: Link | None) -> Event:
    fields: Event = {
        **_interface(found.index, link),
        "tengwang.neighbor.ip": found.ip,
        "tengwang.neighbor.state": NUD.get(found.state, "unknown"),
    }
    if found.mac:
        fields["tengwang.neighbor.mac"] = found.mac
    if ":" in found.ip:
        fields["tengwang.neighbor.router"] = bool(found.flags & NTF_ROUTER)
    return fields


def signature(fields: Event) -> Hashable:
    """Any other value is another state."""
    return tuple(sorted((name, str(value)) for name, value in fields.items()))


def neighbor_signature(found: Neighbor) -> Hashable:
    """Reachable, stale, delay and probe are one state: the cache goes round among them all the time (RFC 4861 7.3)."""
    return found.mac, ALIVE if found.state & ALIVE else found.state, bool(found.flags & NTF_ROUTER)


def scope(ip: str) -> str:
    """global, unique-local, site, link or host (RFC 4007, 4193)."""
    parsed = ipaddress.ip_address(ip)
    if parsed.is_loopback:
        return "host"
    if parsed.is_link_local:
        return "link"
    if parsed.version == 6 and parsed in UNIQUE_LOCAL:
        return "unique-local"
    return "site" if parsed.version == 6 and parsed in SITE_LOCAL else "global"


def _interface(index: int, link: Link | None) -> Event:
    fields: Event = {"tengwang.interface.index": index} if index else {}
    if link:
        fields["tengwang.interface.name"] = link.name
    return fields


def _operational(link: Link) -> str:
    # loopback and tunnels without carrier detection say unknown; they work when they are up
    return OPERATIONAL[link.operational] if link.operational < len(OPERATIONAL) else "unknown"


def _status(found: Address, link: Link | None) -> str:
    """ipAddressStatusTC of RFC 4293."""
    if found.flags & DAD_FAILED:
        return "duplicate"
    if link and not link.up:
        return "inaccessible"
    if found.flags & OPTIMISTIC:
        return "optimistic"
    if found.flags & TENTATIVE:
        return "tentative"
    return "deprecated" if found.flags & DEPRECATED else "preferred"


def _origin(found: Address, link: Link | None) -> str:
    """ipAddressOriginTC of RFC 4293. Kernels before 5.18 do not say who set an address: then by its shape."""
    if found.protocol == FROM_LOOPBACK or scope(found.ip) == "host":
        return "other"
    v6 = ":" in found.ip
    if v6 and (found.protocol in (FROM_RA, FROM_LINK_LOCAL) or scope(found.ip) == "link"):
        return "linklayer" if link and _from_mac(found.ip, link.mac) else "random"
    if v6 and found.flags & TEMPORARY:
        return "random"
    if found.valid == FOR_EVER:
        return "manual"
    if v6 and found.prefix_length != 128:
        return "linklayer" if link and _from_mac(found.ip, link.mac) else "random"
    return "dhcp"


def _from_mac(ip: str, mac: str) -> bool:
    """Is the interface identifier the modified EUI-64 of the MAC address (RFC 4291, appendix A)?"""
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != 6:
        return False
    return ipaddress.ip_address(ip).packed[8:] == bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
