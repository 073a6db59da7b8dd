"""What this host lets a collector do to its network. The last word is here, whatever an order is signed with.

Without a word of the operator a collector may only ask for measurements. What is never touched: what the operator
lists, this host, its collectors, and the routers and name servers of its work.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from agent import netlink
from agent.decoders import rtnetlink
from telemetry.errors import Permanent, Transient
from telemetry.event import canonical_ip
from telemetry.order import CONTAINING, MAX_EVIDENCE_S, Action, Order
from telemetry.work import Work

Meta = msgspec.Meta
ID = re.compile(r"[0-9a-f]{8,40}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
NAME = re.compile(r"[^\s/]{0,15}")
CHECK = re.compile(r"[a-z0-9_]{0,64}")
MAX_SUBJECT = 256


class Actions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a collector may order this agent to do. Containment is off until it is allowed here."""

    allow: Annotated[
        tuple[Action, ...],
        Meta(
            description="actions that are carried out: recheck (measure again now), evidence (send packets of the "
            "evidence ring), and those that change what passes, each with its undo: block_source, block_destination, "
            "rate_limit, drop_rogue_ra. The latter need the program nft and CAP_NET_ADMIN"
        ),
    ] = (Action.RECHECK,)
    never: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses, prefixes and MACs that are never touched; this host, its collectors and the "
            "registered routers never are",
            max_length=1000,
        ),
    ] = ()
    interfaces: Annotated[
        tuple[str, ...],
        Meta(description="bridges and interfaces on which rules may be set; empty: all but those of containers"),
    ] = ()
    max_minutes: Annotated[int, Meta(description="longest time that an action may last", ge=1, le=10_080)] = 480
    max_active: Annotated[int, Meta(description="actions in force at once, at most", ge=1, le=1000)] = 64
    poll_seconds: Annotated[
        float,
        Meta(description="how often orders are asked for besides when the collector says there are any", ge=1, le=600),
    ] = 5.0
    report_seconds: Annotated[float, Meta(description="how often counters of actions are told", ge=1, le=30)] = 5.0

    def __post_init__(self) -> None:
        for word in self.never:
            if not MAC.fullmatch(word.lower()):
                try:
                    ipaddress.ip_network(word, strict=False)
                except ValueError as error:
                    raise ValueError(f"never: {word!r} is no address, prefix or MAC") from error


class Own(msgspec.Struct, frozen=True):
    """What must stay reachable: addresses and MACs, and whose they are."""

    addresses: dict[str, str] = {}
    macs: dict[str, str] = {}


def own(collectors: Iterable[str], work: Work) -> Own:
    """This host, its collectors (by name too), and what the work names. What can not be asked for is left out."""
    addresses: dict[str, str] = {}
    macs: dict[str, str] = {}
    for resolver in work.resolvers:
        addresses[_canonical(resolver)] = "a name server"
    for router in work.routers:
        addresses |= {_canonical(address): f"router {router.device}" for address in router.addresses}
        macs |= {mac.lower(): f"router {router.device}" for mac in router.macs}
    for url in collectors:
        addresses |= dict.fromkeys(_resolve(urlsplit(url).hostname or ""), "a collector")
    try:
        for message in netlink.dump(rtnetlink.GET_LINK):
            macs[rtnetlink.link(message.body).mac.lower()] = "this host"
        for message in netlink.dump(rtnetlink.GET_ADDRESS):
            addresses[_canonical(rtnetlink.address(message.body).ip)] = "this host"
    except (Permanent, Transient):
        pass
    return Own({k: v for k, v in addresses.items() if k}, {k: v for k, v in macs.items() if k})


def check(order: Order, agent: str, policy: Actions, own: Callable[[], Own], active: int, now_ms: int) -> None:
    """Raises Permanent with why this order is not carried out here. Signature and repeats are looked at elsewhere."""
    if order.agent != agent:
        raise Permanent("other_agent", f"it is meant for agent {order.agent[:40]!r}")
    if not ID.fullmatch(order.id):
        raise Permanent("bad_order", "its id is not one")
    if order.action not in policy.allow:
        raise Permanent("not_allowed", f"[actions] allow of this agent does not have {order.action.value}")
    if order.action is Action.EVIDENCE:
        _check_evidence(order)
        return
    if order.action not in CONTAINING:
        if not CHECK.fullmatch(order.check) or len(order.subject) > MAX_SUBJECT:
            raise Permanent("bad_target", "it names no check")
        return
    _check_target(order)
    if not order.issued_ms < order.until_ms <= order.issued_ms + policy.max_minutes * 60_000:
        raise Permanent("too_long", f"this agent contains for {policy.max_minutes} minutes at most")
    if order.until_ms <= now_ms:
        raise Permanent("too_late", "its time is over")
    if active >= policy.max_active:
        raise Permanent("too_many", f"{active} actions are in force")
    if order.interface and policy.interfaces and order.interface not in policy.interfaces:
        raise Permanent("not_allowed", f"[actions] interfaces does not have {order.interface!r}")
    if found := _never(order, policy) or _owned(order, own()):
        raise Permanent("never", f"{order.target} is {found}")


def _check_evidence(order: Order) -> None:
    if not (0 < order.seconds <= MAX_EVIDENCE_S and 0 < order.around_ms < 1 << 42):
        raise Permanent("bad_target", "its time is out of bounds")
    if (order.mac and not MAC.fullmatch(order.mac)) or (order.address and _canonical(order.address) != order.address):
        raise Permanent("bad_target", "what it is about is no address")


def _check_target(order: Order) -> None:
    if not (order.mac or order.address):
        raise Permanent("bad_target", "it names neither a MAC nor an address")
    if order.mac and (not MAC.fullmatch(order.mac) or int(order.mac[:2], 16) & 1):
        raise Permanent("bad_target", "its MAC is not one of a single host")
    if not NAME.fullmatch(order.interface):
        raise Permanent("bad_target", "its interface is no name")
    if not 0 <= order.packets_per_second <= 1_000_000:
        raise Permanent("bad_target", "its rate is out of bounds")
    if not order.address:
        return
    if _canonical(order.address) != order.address:
        raise Permanent("bad_target", "its address is not one")
    parsed = ipaddress.ip_address(order.address)
    if parsed.is_multicast or parsed.is_unspecified or parsed.is_loopback or str(parsed) == "255.255.255.255":
        raise Permanent("bad_target", "its address is not one of a single host")


def _never(order: Order, policy: Actions) -> str:
    for word in policy.never:
        if word.lower() == order.mac:
            return "on the list of what is never touched"
        if order.address and not MAC.fullmatch(word.lower()):
            network = ipaddress.ip_network(word, strict=False)
            if ipaddress.ip_address(order.address) in network:
                return "on the list of what is never touched"
    return ""


def _owned(order: Order, known: Own) -> str:
    return known.macs.get(order.mac, "") or known.addresses.get(order.address, "")


def _canonical(text: str) -> str:
    try:
        return canonical_ip(text)
    except ValueError:
        return ""


def _resolve(host: str) -> list[str]:
    if found := _canonical(host):
        return [found]
    try:
        return [_canonical(str(row[4][0])) for row in socket.getaddrinfo(host, None)] if host else []
    except OSError:
        return []
