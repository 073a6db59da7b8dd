"""Which routers the inventory has for this segment, and whether an advertisement is one of theirs. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from telemetry.event import Event
from telemetry.work import Router, Work

Network = ipaddress.IPv6Network


class Register:
    """The routers of one state of the agent's work.

    Answers None where there is none to go by: no work yet, no router registered for this unit, or none with a MAC or a
    link-local address. On a segment that nobody registered every router would else be a rogue.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._known = any(router.macs or _link_local(router) for router in work.routers)
        self._allowed = {router.device: _networks(router.prefixes or work.home_prefixes) for router in work.routers}

    def renewed(self, work: Work) -> Register:
        """This register, or a new one where the work has changed."""
        return self if work is self._work or work == self._work else Register(work)

    def identified(self, source: str, mac: str) -> bool | None:
        """Does a message from this address and link-layer address look like a registered router's?"""
        return bool(self._matching(source, mac)) if self._known else None

    def registered(self, advertisement: Event) -> bool | None:
        """Is it from a registered router, and are all its prefixes that router's?

        A router with registered MAC addresses must use one of them, as the frame's source and in the source link-layer
        option; with registered link-local addresses, one of those. A router without either can not be told from
        others. Its prefixes are those it advertises by the inventory, else those of the site; without both they are
        not compared.
        """
        if not self._known:
            return None
        option = str(advertisement.get("tengwang.ndp.source_lladdr", ""))
        prefixes = advertisement.get("tengwang.ndp.prefixes", [])
        sent = _networks(map(str, prefixes)) if isinstance(prefixes, list) else ()
        for router in self._matching(str(advertisement.get("source.ip", "")), str(advertisement.get("source.mac", ""))):
            if option and router.macs and option not in router.macs:
                continue
            allowed = self._allowed[router.device]
            if not allowed or all(any(prefix.subnet_of(one) for one in allowed) for prefix in sent):
                return True
        return False

    def _matching(self, source: str, mac: str) -> list[Router]:
        return [router for router in self._work.routers if _matches(router, source, mac)]


def _matches(router: Router, source: str, mac: str) -> bool:
    link_local = _link_local(router)
    if router.macs and mac not in router.macs:
        return False
    if link_local and source not in link_local:
        return False
    return bool(router.macs or link_local)


def _link_local(router: Router) -> list[str]:
    return [address for address in router.addresses if address.startswith("fe80:")]


def _networks(prefixes: Iterable[str]) -> tuple[Network, ...]:
    """The IPv6 prefixes among these; what is no prefix is passed over: the collector has checked them."""
    found = []
    for prefix in prefixes:
        try:
            network = ipaddress.ip_network(prefix, strict=False)
        except ValueError:
            continue
        if isinstance(network, Network):
            found.append(network)
    return tuple(found)
