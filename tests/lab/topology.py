"""What a lab consists of, as data: hosts with ports on segments, routes and services. A host is a few lines.

>>> Host("portal", (Port("bureau", v6="2d00:100:a0:1::80/64", v4="10.1.1.80/24"),), routes=(Route("default", "..."),))
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.lab.host import RunningHost


class Service(Protocol):
    """A real program that runs on a host."""

    @property
    def name(self) -> str: ...

    def start(self, host: RunningHost) -> None:
        """Write its files under ``host.directory`` and start it; returns when it serves."""


@dataclass(frozen=True)
class Port:
    """One interface, named like the segment it is on. Addresses with prefix length; empty: none of that family."""

    segment: str
    v6: str = ""
    v4: str = ""


@dataclass(frozen=True)
class Route:
    """``to`` is a prefix or ``default`` (then the family is that of ``via``)."""

    to: str
    via: str


@dataclass(frozen=True)
class Host:
    """A network namespace with a host name, a machine id and a resolver of its own."""

    name: str
    ports: tuple[Port, ...]
    routes: tuple[Route, ...] = ()
    services: tuple[Service, ...] = ()
    router: bool = False
    """Forwards packets, and takes no address from router advertisements."""
    autoconf: bool = False
    """Takes addresses and routes from router advertisements, as a terminal does."""
    resolvers: tuple[str, ...] = ()

    def mac(self, segment: str) -> str:
        """Fixed for a host and segment, so that an inventory can register it before the lab is up."""
        digest = hashlib.sha256(f"{self.name}/{segment}".encode()).digest()
        return "02:" + ":".join(f"{byte:02x}" for byte in digest[:5])

    def link_local(self, segment: str) -> str:
        """The address that the kernel makes of the MAC (RFC 4291, appendix A)."""
        octets = [int(part, 16) for part in self.mac(segment).split(":")]
        octets[0] ^= 2
        interface = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
        return str(ipaddress.IPv6Address(bytes.fromhex("fe80000000000000") + interface))

    def address(self, segment: str = "", family: int = 6) -> str:
        """The address on a segment, without the prefix length; by default on the first one that has one."""
        for port in self.ports:
            text = port.v6 if family == 6 else port.v4
            if text and segment in ("", port.segment):
                return text.partition("/")[0]
        raise LookupError(f"{self.name} has no IPv{family} address on {segment or 'any segment'}")


@dataclass(frozen=True)
class Topology:
    hosts: tuple[Host, ...]
    names: Mapping[str, Host] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", {host.name: host for host in self.hosts})

    def segments(self) -> list[str]:
        """Each segment is one Linux bridge."""
        return list(dict.fromkeys(port.segment for host in self.hosts for port in host.ports))
