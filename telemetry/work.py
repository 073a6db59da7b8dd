"""The agent's work: what to poll, check and expect, derived by the collector from the inventory.

Fetched over the same link as events go out, kept on the agent's disk with mode 0600 (it holds credentials), and used
while the collector is away. Unknown keys are ignored, so a newer collector serves an older agent.
"""

from __future__ import annotations

import enum

import msgspec


class SnmpVersion(enum.StrEnum):
    V1 = "1"
    V2C = "2c"
    V3 = "3"


class SnmpCredential(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """How to ask one device. ``repr`` shows no secret."""

    version: SnmpVersion
    community: str = ""
    user: str = ""
    auth_protocol: str = ""
    auth_key: str = ""
    priv_protocol: str = ""
    priv_key: str = ""
    context: str = ""

    def __repr__(self) -> str:
        return f"SnmpCredential(version={self.version.value!r}, user={self.user!r}, secrets hidden)"


class SnmpTarget(msgspec.Struct, frozen=True):
    """One device to poll."""

    device: str
    name: str
    address: str
    credential: SnmpCredential
    port: int = 161
    interval: int = 60
    router: bool = False


class System(msgspec.Struct, frozen=True):
    """One registered system to check for IPv6 readiness. ``nat64_planned`` and the like come with later checks."""

    asset: str
    name: str
    domains: tuple[str, ...]
    ports: tuple[int, ...] = (80, 443)
    paths: tuple[str, ...] = ("/",)
    private: bool = False


class Router(msgspec.Struct, frozen=True):
    """A router that may send router advertisements on a segment of this agent."""

    device: str
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()


class DhcpServer(msgspec.Struct, frozen=True):
    """A device that may serve DHCP on a segment of this agent; a relay answers in its server's place, so it counts."""

    device: str
    addresses: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()


class Terminal(msgspec.Struct, frozen=True):
    """Something that may stand on a segment of this agent: a terminal, or a device or system there."""

    id: str
    macs: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Exporter(msgspec.Struct, frozen=True):
    """A device whose flow export this agent takes."""

    device: str
    addresses: tuple[str, ...] = ()


class Work(msgspec.Struct, frozen=True):
    """Everything one agent is asked to do. ``version`` changes when anything in it does."""

    version: str = ""
    unit: str = ""
    snmp: tuple[SnmpTarget, ...] = ()
    systems: tuple[System, ...] = ()
    routers: tuple[Router, ...] = ()
    dhcp: tuple[DhcpServer, ...] = ()
    """Empty: none is registered, so no server can be said to be a foreign one."""
    terminals: tuple[Terminal, ...] = ()
    """Empty: none is registered, so no terminal can be said to be a foreign one."""
    exporters: tuple[Exporter, ...] = ()
    resolvers: tuple[str, ...] = ()
    home_prefixes: tuple[str, ...] = ()
    schema: int = 0


def encode(work: Work) -> bytes:
    return msgspec.json.encode(work)


def decode(data: bytes) -> Work:
    """Raises msgspec.DecodeError where it is not work."""
    return msgspec.json.decode(data, type=Work)
