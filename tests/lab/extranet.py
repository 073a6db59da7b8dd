"""The small extranet: a city and a county router, a bureau's LAN, and a management host with the collector.

    mgmt ---- city ======== county ---- bureau LAN: portal, probe, terminal, intruder

The addresses are from a part of 2000::/3 that nobody has been given, so checks see global unicast addresses, and no
packet ever leaves the namespaces.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.services.bind9 import Bind9
from tests.lab.services.nginx import Nginx
from tests.lab.services.radvd import Radvd
from tests.lab.services.snmpd import Snmpd
from tests.lab.topology import Host, Port, Route, Service, Topology

DOMAIN = "www.bureau.test"
ZONE = "bureau.test."
LAN_PREFIX = "2d00:100:a0:1::/64"
ROGUE_PREFIX = "2d00:bad::/64"
AGENT_HOSTS = {"city": "city", "county": "county", "probe": "bureau"}
"""Hosts that run an agent, and the unit that each measures for."""


@dataclass(frozen=True)
class Secrets:
    """What the routers' SNMP is protected with. Made anew for each lab."""

    community: str
    user: str
    auth: str
    priv: str


def topology(secrets: Secrets, v4: bool = True) -> Topology:
    """The dual-stack extranet, or with ``v4=False`` one that has no IPv4 address anywhere but on loopback."""

    def port(segment: str, v6: str, v4_address: str) -> Port:
        return Port(segment, v6, v4_address if v4 else "")

    def default(v6: str, v4_address: str) -> tuple[Route, ...]:
        return (Route("default", v6), *([Route("default", v4_address)] if v4 else []))

    resolvers = (address("mgmt"),)
    snmpd = Snmpd(secrets.community, secrets.user, secrets.auth, secrets.priv, v4=v4)
    zone = Bind9({ZONE: records(v4)}, v4=v4)
    return Topology(
        (
            Host(
                "mgmt",
                (port("mgmt", "2d00:100:0:f::10/64", "10.100.15.10/24"),),
                default("2d00:100:0:f::1", "10.100.15.1"),
                (Bind9({".": ROOT}, recursion=True, v4=v4),),
                resolvers=resolvers,
            ),
            Host(
                "city",
                (
                    port("mgmt", "2d00:100:0:f::1/64", "10.100.15.1/24"),
                    port("backbone", "2d00:100:0:1::1/64", "10.100.1.1/24"),
                ),
                routes(v4, "2d00:100:a0::/48", "2d00:100:0:1::2", "10.100.160.0/24", "10.100.1.2"),
                (snmpd, zone),
                router=True,
                resolvers=resolvers,
            ),
            Host(
                "county",
                (
                    port("backbone", "2d00:100:0:1::2/64", "10.100.1.2/24"),
                    port("bureau", "2d00:100:a0:1::1/64", "10.100.160.1/24"),
                ),
                default("2d00:100:0:1::1", "10.100.1.1"),
                (snmpd, Radvd("bureau", LAN_PREFIX, rdnss=address("mgmt"))),
                router=True,
                resolvers=resolvers,
            ),
            Host(
                "portal",
                (port("bureau", "2d00:100:a0:1::80/64", "10.100.160.80/24"),),
                default("2d00:100:a0:1::1", "10.100.160.1"),
                (zone, Nginx(DOMAIN, v4=v4)),
                resolvers=resolvers,
            ),
            Host(
                "probe",
                (port("bureau", "2d00:100:a0:1::10/64", "10.100.160.10/24"),),
                default("2d00:100:a0:1::1", "10.100.160.1"),
                resolvers=resolvers,
            ),
            Host("terminal", (port("bureau", "", "10.100.160.100/24"),), autoconf=True, resolvers=resolvers),
            Host("intruder", (port("bureau", "", "10.100.160.66/24"),), autoconf=True, resolvers=resolvers),
        )
    )


def routes(v4: bool, v6_to: str, v6_via: str, v4_to: str, v4_via: str) -> tuple[Route, ...]:
    return (Route(v6_to, v6_via), *([Route(v4_to, v4_via)] if v4 else []))


def address(host: str) -> str:
    """IPv6 address of the hosts that others are told of."""
    return {
        "mgmt": "2d00:100:0:f::10",
        "city": "2d00:100:0:f::1",
        "county": "2d00:100:0:1::2",
        "portal": "2d00:100:a0:1::80",
    }[host]


def records(v4: bool, aaaa: bool = True) -> tuple[str, ...]:
    """The portal's zone; ``aaaa`` off takes the portal's (not the name servers') IPv6 address away."""
    return (
        "@ IN NS ns1",
        "@ IN NS ns2",
        f"ns1 IN AAAA {address('portal')}",
        f"ns2 IN AAAA {address('city')}",
        *((f"www IN AAAA {address('portal')}",) if aaaa else ()),
        *(("ns1 IN A 10.100.160.80", "ns2 IN A 10.100.15.1", "www IN A 10.100.160.80") if v4 else ()),
    )


ROOT = (
    ". IN NS root.",
    f"root. IN AAAA {address('mgmt')}",
    "bureau.test. IN NS ns1.bureau.test.",
    "bureau.test. IN NS ns2.bureau.test.",
    f"ns1.bureau.test. IN AAAA {address('portal')}",
    f"ns2.bureau.test. IN AAAA {address('city')}",
)


def services(topology: Topology) -> list[tuple[Host, Service]]:
    """In the order in which they can start: name servers first."""
    pairs = [(host, service) for host in topology.hosts for service in host.services]
    return sorted(pairs, key=lambda pair: pair[1].name != "named")
