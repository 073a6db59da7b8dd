"""The rules of one order: made, counted and taken away, wherever this host stands. What agent/actions/* are made of.

    bridge  hook prerouting   all that comes into a bridge's ports (scope segment)
    inet    hook prerouting   what this router is asked to forward, and what is for itself (scope routed)
    netdev  hook ingress      what comes to this host's cards, ARP too; the only place on a host (scope host)
    inet    hook output       what this host itself sends, for blocked destinations (scope host)

Chains and sets are named by the order, so every order is undone by itself, and what nobody knows any more is found.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, product

import msgspec

from agent import nft
from agent.nft import TABLE, Json, Nft
from agent.stand import Stand
from telemetry.errors import Permanent
from telemetry.order import Order, Scope

PRIORITY = -300
"""Before connection tracking, routing and everything that others filter."""
ROUTER_ADVERTISEMENT = 134
BACKSTOP_S = 5
"""The kernel ends a block so much later than the agent does: it is there for an agent that can not."""


class Effect(msgspec.Struct, frozen=True):
    """What an action's own rules have met since it was applied."""

    packets: int = 0
    bytes: int = 0
    detail: str = ""


class Match(msgspec.Struct, frozen=True):
    """Which packets: those from or to the order's MAC or address."""

    destination: bool = False
    advertisements: bool = False
    over_a_second: int = 0


class Hook(msgspec.Struct, frozen=True):
    family: str
    name: str
    devices: tuple[str, ...] = ()
    """netdev: a chain for each. bridge: only frames that come in at these ports; none means all."""


class Fence:
    """``stand`` is asked each time: cables and bridges change."""

    def __init__(self, tables: Nft, stand: Callable[[], Stand], now_ms: Callable[[], int], named: bool = False) -> None:
        """``named``: the operator named the interfaces, so rules keep to them."""
        self._nft, self._stand, self._now_ms, self._named = tables, stand, now_ms, named

    def put(self, order: Order, match: Match) -> Effect:
        """Raises Permanent, Transient. Where it is set already nothing changes."""
        try:
            return self.measure(order)
        except Permanent as error:
            if error.reason != "not_there":
                raise
        stand = self._stand()
        where = hooks(stand, order, match, self._named)
        if not where:
            raise Permanent("no_place", "this host has no interface to set rules on")
        seconds = lifetime_s(order, self._now_ms())
        for family in dict.fromkeys(hook.family for hook in where):
            self._take_away(order.id, family)
        self._nft.commit(list(commands(order, match, where, seconds)))
        return msgspec.structs.replace(self.measure(order), detail=stand.scope.value)

    def measure(self, order: Order) -> Effect:
        """Raises Permanent ``not_there`` where the rules, or their targets, are not there (any more)."""
        rules = packets = octets = 0
        live = False
        for family in nft.FAMILIES:
            items = self._nft.table(family)
            some, met, size = nft.counted(items, lambda name: owner(name) == order.id)
            rules, packets, octets = rules + some, packets + met, octets + size
            live = live or any(full for name, full in nft.sets_of(items).items() if owner(name) == order.id)
        if not rules or not live:
            raise Permanent("not_there", "the order's rules are not there")
        return Effect(packets, octets, self._stand().scope.value)

    def take_away(self, order_id: str) -> None:
        """Raises Permanent, Transient. What is not there is gone already."""
        for family in nft.FAMILIES:
            self._take_away(order_id, family)

    def orders(self) -> set[str]:
        """Ids of all orders that have rules here. Raises Permanent, Transient."""
        return {owner(name) for family in nft.FAMILIES for name in nft.chains_of(self._nft.table(family))} - {""}

    def _take_away(self, order_id: str, family: str) -> None:
        items = self._nft.table(family)
        chains = [name for name in nft.chains_of(items) if owner(name) == order_id]
        sets = [name for name in nft.sets_of(items) if owner(name) == order_id]
        if not chains and not sets:
            return
        if all(owner(name) == order_id for name in nft.chains_of(items)):
            self._nft.commit([{"delete": {"table": {"family": family, "name": TABLE}}}])
            return
        gone: list[Json] = [{"flush": {"chain": _named(family, name)}} for name in chains]
        gone += [{"delete": {"chain": _named(family, name)}} for name in chains]
        self._nft.commit([*gone, *({"delete": {"set": _named(family, name)}} for name in sets)])


def owner(name: str) -> str:
    """The order that a chain or set was made for; empty where it is none of ours."""
    parts = name.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "o" else ""


def lifetime_s(order: Order, now_ms: int) -> int:
    """Never much longer than the order was meant for, whatever this host's clock says."""
    return max(1, min(order.until_ms - now_ms, order.until_ms - order.issued_ms) // 1000) + BACKSTOP_S


def hooks(stand: Stand, order: Order, match: Match, named: bool) -> list[Hook]:
    """Everywhere that this order's packets pass on this host."""
    only = (order.interface,) if order.interface else ()
    bridges = [ports for name, ports in stand.bridges.items() if not only or name in only]
    cards = tuple(name for name in stand.cards if not only or name in only)
    where = []
    if bridges:
        # by ports, not by the bridge's name: nft_meta_bridge is not in every kernel
        where.append(Hook("bridge", "prerouting", tuple(sorted({*chain(*bridges)})) if named or only else ()))
    if stand.router:
        where.append(Hook("inet", "prerouting"))
    if stand.scope is Scope.HOST and match.destination:
        where.append(Hook("inet", "output"))
    elif stand.scope is Scope.HOST and cards:
        where.append(Hook("netdev", "ingress", cards))
    return where


def commands(order: Order, match: Match, where: Iterable[Hook], seconds: int) -> Iterator[Json]:
    """The one transaction that sets an order's rules."""
    for hook in where:
        family = hook.family
        yield {"add": {"table": {"family": family, "name": TABLE}}}
        ends = list(_ends(order, match))
        for kind, kind_of_set, value, _ in ends:
            element = {"elem": {"val": value, "timeout": seconds}}
            made = {**_named(family, f"o_{order.id}_{kind}"), "type": kind_of_set, "flags": ["timeout"]}
            yield {"add": {"set": {**made, "elem": [element]}}}
        devices: tuple[str, ...] = hook.devices if family == "netdev" else ("",)
        for number, device in enumerate(devices):
            made_chain = _named(family, f"o_{order.id}_{hook.name}{number}")
            base = {**made_chain, "type": "filter", "hook": hook.name, "prio": PRIORITY, "policy": "accept"}
            yield {"add": {"chain": {**base, "dev": device} if device else base}}
            for (kind, _, _, left), narrowed in product(ends, _narrowed(match)):
                expression = [*_bridge(hook), _equal(left, f"@o_{order.id}_{kind}"), *narrowed]
                expression += [{"counter": {"packets": 0, "bytes": 0}}, {"drop": None}]
                rule = {"family": family, "table": TABLE, "chain": made_chain["name"], "comment": f"order {order.id}"}
                yield {"add": {"rule": {**rule, "expr": expression}}}


def _ends(order: Order, match: Match) -> Iterator[tuple[str, str, str, Json]]:
    end = "daddr" if match.destination else "saddr"
    if order.mac:
        yield "mac", "ether_addr", order.mac, _payload("ether", end)
    if order.address:
        version = ipaddress.ip_address(order.address).version
        protocol = "ip6" if version == 6 else "ip"
        yield f"v{version}", f"ipv{version}_addr", order.address, _payload(protocol, end)


def _bridge(hook: Hook) -> list[Json]:
    if hook.family != "bridge" or not hook.devices:
        return []
    names = hook.devices[0] if len(hook.devices) == 1 else {"set": list(hook.devices)}
    return [_equal({"meta": {"key": "iifname"}}, names)]


def _narrowed(match: Match) -> list[list[Json]]:
    """What else must hold, for each rule.

    The kernel finds the ICMPv6 type behind extension headers, but not in a later fragment. Hosts must not take
    neighbour discovery in fragments (RFC 6980); for those that do, this sender's fragments to multicast groups go too.
    """
    if match.advertisements:
        groups = {"prefix": {"addr": "ff00::", "len": 8}}
        fragment = _equal({"exthdr": {"name": "frag"}}, True)
        return [
            [_equal(_payload("icmpv6", "type"), ROUTER_ADVERTISEMENT)],
            [_equal(_payload("ip6", "daddr"), groups), fragment],
        ]
    if match.over_a_second:
        return [[{"limit": {"rate": match.over_a_second, "per": "second", "inv": True}}]]
    return [[]]


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _equal(left: Json, right: object) -> Json:
    return {"match": {"op": "==", "left": left, "right": right}}


def _named(family: str, name: str) -> Json:
    return {"family": family, "table": TABLE, "name": name}
