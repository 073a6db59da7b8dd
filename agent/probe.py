"""Probe: what a check may use of the world. Everything in it can be replaced; every wait in it is bounded.

One probe serves one subject: what several checks need (addresses, open ports, the home page) is measured once and
shared, so that a round costs a portal few connections. Only names of the system itself are followed in redirects:
active checks touch registered assets and nothing else.
"""

from __future__ import annotations

import asyncio
import functools
import random
import socket
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TypeVar, cast

import msgspec

from agent import address_class, snmp_security, web
from agent.resolver import Answer, Resolver, a_label
from agent.segment import SegmentView
from agent.snmp_session import Limits, SnmpSession
from telemetry.clock import Clock
from telemetry.work import SnmpTarget, System, Work

T = TypeVar("T")
MAX_REDIRECTS = 5
MAX_ADDRESSES = 8
MAX_LABELS = 16


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where things may be asked. The ports are other than the standard's only in a test."""

    web: web.Bounds = web.Bounds()
    snmp: Limits = Limits()
    dns_port: int = 53
    tls_ports: tuple[int, ...] = (443, 8443)


class Visit(msgspec.Struct, frozen=True):
    """A page after its redirects; ``hops`` are the URLs that were left, ``left`` a URL that was not followed."""

    url: str
    page: web.Page
    hops: tuple[str, ...] = ()
    left: str = ""

    @property
    def fine(self) -> bool:
        """HTTP 200 to 399 and a whole body: what the national platform and Internet.nl take for reachable."""
        return not self.page.error and 200 <= self.page.status < 400


class Nameserver(msgspec.Struct, frozen=True):
    """One name server of a zone, with the addresses its name has."""

    name: str
    v6: tuple[str, ...]
    v4: tuple[str, ...]


class Zone(msgspec.Struct, frozen=True):
    """The zone that a domain is in. ``apex`` is empty where it was not found, ``status`` says why."""

    apex: str
    servers: tuple[Nameserver, ...]
    status: str


class Probe:
    """The measuring part of checks, for one subject."""

    def __init__(
        self, clock: Clock, resolver: Resolver, bounds: Bounds, work: Work, segment: SegmentView, rng: random.Random
    ) -> None:
        self.clock = clock
        self.resolver = resolver
        self.bounds = bounds
        self.work = work
        self.segment = segment
        self._rng = rng
        self._shared: dict[Hashable, asyncio.Future[object]] = {}

    async def close(self) -> None:
        """End what is still being measured."""
        for task in self._shared.values():
            task.cancel()
        await asyncio.gather(*self._shared.values(), return_exceptions=True)

    def tls(self, port: int) -> bool:
        return port in self.bounds.tls_ports

    async def lookup(self, name: str, kind: str) -> Answer:
        """What the recursive resolver says; asked once."""
        return await self._once(("lookup", name, kind), lambda: self.resolver.lookup(name, kind))

    async def addresses(self, name: str, family: int) -> tuple[str, ...]:
        """The AAAA (6) or A (4) addresses of a name, none where there are none or nobody answers.

        Without those that would lead the agent to itself, to everyone, or to the other family: a record is no leave
        to knock at them.
        """
        found = (await self.lookup(name, "AAAA" if family == 6 else "A")).records
        return tuple(address for address in found if address_class.approachable(address))[:MAX_ADDRESSES]

    async def connect(self, address: str, port: int) -> str:
        """``open``, or why not; tried once."""
        seconds = self.bounds.web.connect_s
        return await self._once(("connect", address, port), lambda: web.connect(address, port, seconds))

    async def open_ports(self, addresses: Sequence[str], ports: Sequence[int]) -> dict[int, dict[str, str]]:
        """By port and address: ``open``, or why not."""
        pairs = [(port, address) for port in ports for address in addresses]
        states = await asyncio.gather(*(self.connect(address, port) for port, address in pairs))
        found: dict[int, dict[str, str]] = {port: {} for port in ports}
        for (port, address), state in zip(pairs, states, strict=True):
            found[port][address] = state
        return found

    async def visit(self, system: System, domain: str, port: int, path: str, address: str) -> Visit:
        """The page at this address, redirects followed on the same family; fetched once."""
        key = ("visit", domain, port, path, address)
        return await self._once(key, lambda: self._visit(system, domain, port, path, address))

    async def zone(self, domain: str) -> Zone:
        """The zone of a domain, its name servers and their addresses; asked once."""
        return await self._once(("zone", domain), lambda: self._zone(domain))

    async def protocols(self, address: str, port: int, name: str) -> tuple[str, ...]:
        """The TLS versions a server agrees to, of those this host's OpenSSL can speak."""
        seconds = self.bounds.web.connect_s
        versions = list(web.VERSIONS)
        agreed = await asyncio.gather(
            *(web.handshake(address, port, name, _context(version), seconds) for version in versions)
        )
        return tuple(version for version, found in zip(versions, agreed, strict=True) if found)

    def snmp(self, target: SnmpTarget) -> SnmpSession:
        """A conversation with a device. Raises SnmpFault where its credential can not work."""
        security = snmp_security.build(target.credential, self.clock)
        return SnmpSession(target, security, self.bounds.snmp, self.clock, self._rng)

    def routed(self, address: str) -> bool:
        """Whether this host has a route and a source address towards it; sends nothing."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as trial:
                trial.connect((address, 9))
        except OSError:
            return False
        return True

    async def _visit(self, system: System, domain: str, port: int, path: str, address: str) -> Visit:
        host = domain
        hops: list[str] = []
        family = 6 if ":" in address else 4
        while True:
            tls = _context("") if self.tls(port) else None
            url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
            page = await web.get(self.clock, address, port, host, path, tls, self.bounds.web)
            target = page.headers.get("location", "")
            if not 300 <= page.status < 400 or not target:
                return Visit(url, page, tuple(hops))
            where = self._followed(system, url, target)
            if where is None:
                return Visit(url, page, tuple(hops), target[:500])
            if len(hops) >= MAX_REDIRECTS:
                return Visit(url, msgspec.structs.replace(page, error="redirect_loop"), tuple(hops))
            next_host, port, path = where
            if next_host != host:
                found = await self.addresses(next_host, family)
                if not found:
                    return Visit(url, page, tuple(hops), target[:500])
                host, address = next_host, found[0]
            hops.append(url)

    def _followed(self, system: System, url: str, target: str) -> tuple[str, int, str] | None:
        """Host, port and path of a redirect to one of the system's own domains and ports; None for any other."""
        try:
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(url, target))
            port = parts.port
        except ValueError:
            return None
        tls = parts.scheme == "https"
        if port is None:
            port = next((p for p in system.ports if self.tls(p) == tls), 443 if tls else 80)
        host = (parts.hostname or "").rstrip(".")
        own = host in map(a_label, system.domains) and parts.scheme in ("http", "https") and port in system.ports
        path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        return (host, port, f"{path}?{query}" if query else path) if own else None

    async def _zone(self, domain: str) -> Zone:
        labels = domain.rstrip(".").split(".")[:MAX_LABELS]
        status = "no_server"
        for start in range(max(1, len(labels) - 1)):  # a top-level domain is not the system's zone
            apex = ".".join(labels[start:])
            answer = await self.lookup(apex, "NS")
            status = answer.status
            if answer.status == "ok" and answer.canonical == apex.lower():  # not by way of a CNAME
                names = answer.records[:MAX_ADDRESSES]
                servers = await asyncio.gather(*(self._nameserver(name) for name in names))
                return Zone(apex, tuple(servers), "ok")
            if not answer.answered:
                break
        return Zone("", (), status)

    async def _nameserver(self, name: str) -> Nameserver:
        v6, v4 = await asyncio.gather(self.addresses(name, 6), self.addresses(name, 4))
        return Nameserver(name.rstrip("."), v6, v4)

    async def _once(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Measure once, however many checks ask; a check that is cut off does not take the others' answer along."""
        if key not in self._shared:
            self._shared[key] = asyncio.ensure_future(cast("Awaitable[object]", make()))
        return cast("T", await asyncio.shield(self._shared[key]))


@functools.cache
def _context(version: str) -> ssl.SSLContext:
    return web.context(version)


def flat(ports: Mapping[int, Mapping[str, str]]) -> list[str]:
    """Port states as evidence: ``[address]:port state``, a line each."""
    return [f"[{address}]:{port} {state}" for port, states in ports.items() for address, state in states.items()]
