"""IP and transport headers of many packets at once: a row of a flow's key for each. Needs numpy (``fast``). Pure.

What each value means, and what is malformed, is as in ``agent/decoders/packet.py``; tests hold the two against each
other. Nearly every packet is plain: no options, no fragment, no extension header, nothing cut. Those are done by a few
operations on whole columns, and only the others, which are few, by the general rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.decoders import packet
from agent.decoders.columns_buffer import Buffer, Bytes, Mask, Places, Tally, network_order, wide

WORDS = 6
KEY = np.dtype(
    {
        "names": ["source", "destination", "source_port", "destination_port", "protocol", "version", "vlan", "tunnel"],
        "formats": ["V16", "V16", ">u2", ">u2", "u1", "u1", "<u2", "<u4"],
        "offsets": [0, 16, 32, 34, 36, 37, 38, 40],
        "itemsize": WORDS * 8,
    }
)
"""An IPv4 address is the first four bytes of its sixteen; the last four bytes of a key are 0."""
NO_PORTS, PORTS, TCP, ICMP, SPECIAL = range(5)
EXTENSION_BITS = {0: 1, 60: 2, 43: 4, packet.FRAGMENT: 8, packet.AUTHENTICATION: 16, 135: 32, 139: 64, 140: 128}
TUNNELS = (4, 41, 47)
VXLAN, TEREDO = 4789, 3544
MOST_HEADERS = 32
"""Extension headers of one packet that are followed: what comes after is unknown, and the packet is counted as odd."""
ROUTING = 43


def _classes() -> NDArray[np.uint8]:
    made = np.full(256, NO_PORTS, np.uint8)
    made[list(packet.PORTS)] = PORTS
    made[packet.TCP] = TCP
    made[[packet.ICMP, packet.ICMPV6]] = ICMP
    made[list(TUNNELS)] = SPECIAL
    return made


def _bits() -> NDArray[np.uint16]:
    made = np.zeros(256, np.uint16)
    made[list(EXTENSION_BITS)] = list(EXTENSION_BITS.values())
    return made


CLASSES, BITS = _classes(), _bits()
CLASSES_4, CLASSES_6 = CLASSES.copy(), CLASSES.copy()
CLASSES_4[packet.AUTHENTICATION] = SPECIAL
CLASSES_6[list(packet.EXTENSIONS)] = SPECIAL
HIDDEN = frozenset(np.array([VXLAN, TEREDO], ">u2").view(np.uint16).tolist())


@dataclass(slots=True, eq=False)
class Layer:
    """One IP header of each packet and what follows it. Where ``good`` is false the packet was counted instead."""

    good: Mask
    keys: NDArray[np.uint64]
    sizes: Places
    flags: NDArray[np.uint8]
    words: NDArray[np.uint32]
    """The first four bytes of the IP header: DSCP and flow label."""
    extensions: NDArray[np.uint16]
    inside: Places
    """The packets that may hold another, with ``payload`` and ``ends``: where that is, and ends on the wire."""
    payload: Places
    ends: Places


@dataclass(slots=True, eq=False)
class _Some:
    """A few packets on their way through the general rules; ``which`` are their rows in the layer."""

    which: Places
    protocol: NDArray[np.uint8]
    cursor: Places
    end: Places
    stop: Places
    part: Mask
    """A fragment that more follow, or that follows others."""
    later: Mask
    """A fragment that is not the first."""


def ipv4(
    buffer: Buffer, at: Places, stop: Places, wire: Places, vlans: NDArray[np.uint16], tally: Tally, odd: Tally
) -> Layer:
    """The IPv4 header at each ``at``; captured bytes end at ``stop``, those on the wire at ``wire``."""
    head = buffer.take(40, at)
    protocol = head[:, 9]
    total = wide(head, 2)
    room, seen = wire - at, stop - at
    plain = head[:, 0] == 0x45
    plain &= (head.view(np.uint16)[:, 3] & network_order(0x3FFF)) == 0
    plain &= (total >= 34) & (total <= room) & (seen >= 34)
    keys = np.zeros((len(at), WORDS), np.uint64)
    parts, numbers = keys.view(np.uint32), head.view(np.uint32)
    parts[:, 0] = numbers[:, 3]
    parts[:, 4] = numbers[:, 4]
    parts[:, 8] = numbers[:, 5]
    layer = _layer(keys, total, head[:, 33], numbers[:, 0])
    classes = CLASSES_4[protocol]
    plain &= classes != SPECIAL
    _finish(layer, protocol, 4, vlans, classes)
    _hidden(layer, np.flatnonzero(plain & (protocol == packet.UDP)), at + 28, at + total)
    few = np.flatnonzero(~plain)
    if len(few):
        _general4(buffer, layer, few, at[few], stop[few], room[few], head[few], tally, odd)
    return layer


def ipv6(
    buffer: Buffer, at: Places, stop: Places, wire: Places, vlans: NDArray[np.uint16], tally: Tally, odd: Tally
) -> Layer:
    """The IPv6 header at each ``at`` and the headers after it."""
    head = buffer.take(56, at)
    protocol = head[:, 6]
    payload = wide(head, 4)
    room, seen = wire - at, stop - at
    plain = (head[:, 0] & 0xF0) == 0x60
    plain &= (payload >= 14) & (payload <= room - 40) & (seen >= 54)
    keys = np.empty((len(at), WORDS), np.uint64)
    keys[:, :4] = head.view(np.uint64)[:, 1:5]
    keys[:, 4:] = 0
    keys.view(np.uint32)[:, 8] = head.view(np.uint32)[:, 10]
    layer = _layer(keys, payload + 40, head[:, 53], head.view(np.uint32)[:, 0])
    classes = CLASSES_6[protocol]
    plain &= classes != SPECIAL
    _finish(layer, protocol, 6, vlans, classes)
    _hidden(layer, np.flatnonzero(plain & (protocol == packet.UDP)), at + 48, at + 40 + payload)
    few = np.flatnonzero(~plain)
    if len(few):
        _general6(buffer, layer, few, at[few], stop[few], room[few], head[few], tally, odd)
    return layer


def _layer(keys: NDArray[np.uint64], sizes: Places, flags: NDArray[np.uint8], words: NDArray[np.uint32]) -> Layer:
    none = np.zeros(0, np.int64)
    return Layer(
        np.ones(len(keys), np.bool_), keys, sizes, flags.copy(), words.copy(), np.zeros(len(keys), np.uint16),
        none, none, none,
    )  # fmt: skip


def _finish(
    layer: Layer, protocol: NDArray[np.uint8], version: int, vlans: NDArray[np.uint16], classes: NDArray[np.uint8]
) -> None:
    """What is in a key besides addresses and ports, and what only some protocols have."""
    rows = layer.keys.view(np.uint8)
    rows[:, 36] = protocol
    rows[:, 37] = version
    if vlans.any():
        layer.keys.view("<u2")[:, 19] = vlans
    layer.flags *= classes == TCP
    others = np.flatnonzero(classes == ICMP)
    if len(others):
        pairs = layer.keys.view(np.uint16)
        pairs[others, 17] = pairs[others, 16]
        pairs[others, 16] = 0
    others = np.flatnonzero(classes == NO_PORTS)
    if len(others):
        layer.keys.view(np.uint32)[others, 8] = 0


def _hidden(layer: Layer, udp: Places, payload: Places, ends: Places) -> None:
    """Datagrams that may hold a packet, by their ports."""
    ports = layer.keys.view(np.uint16)[udp]
    found = np.zeros(len(udp), np.bool_)
    for port in HIDDEN:
        found |= (ports[:, 16] == port) | (ports[:, 17] == port)
    some = udp[found]
    if len(some):
        _inside(layer, some, payload[some], ends[some])


def _inside(layer: Layer, which: Places, payload: Places, ends: Places) -> None:
    layer.inside = np.concatenate([layer.inside, which])
    layer.payload = np.concatenate([layer.payload, payload])
    layer.ends = np.concatenate([layer.ends, ends])


def _fail(layer: Layer, some: _Some, bad: Mask, tally: Tally, reason: str) -> _Some:
    """Those that are left."""
    if not bad.any():
        return some
    layer.good[some.which[bad]] = False
    tally[reason] += int(bad.sum())
    return _only(some, ~bad)


def _only(some: _Some, wanted: Mask) -> _Some:
    return _Some(
        some.which[wanted], some.protocol[wanted], some.cursor[wanted], some.end[wanted], some.stop[wanted],
        some.part[wanted], some.later[wanted],
    )  # fmt: skip


def _general4(
    buffer: Buffer, layer: Layer, few: Places, at: Places, stop: Places, room: Places, head: Bytes, tally: Tally,
    odd: Tally,
) -> None:  # fmt: skip
    short = at + 20 > stop
    words = (head[:, 0] & 0x0F).astype(np.int64) * 4
    total = wide(head, 2)
    bad = (head[:, 0] >> 4 != 4) | (words < 20) | ((total != 0) & ((total < words) | (total > room)))
    total = np.where(total == 0, room, total)
    field = wide(head, 6)
    layer.sizes[few] = total
    _clear(layer, few)
    some = _Some(few, head[:, 9], at + words, at + total, stop, field & 0x3FFF != 0, field & 0x1FFF != 0)
    wanted = ~short
    layer.good[few[short]] = False
    tally["short_ipv4"] += int(short.sum())
    some = _fail(layer, _only(some, wanted), bad[wanted], tally, "bad_ipv4")
    hidden = (some.protocol == packet.AUTHENTICATION) & ~some.later
    hidden &= some.cursor + 2 <= np.minimum(some.stop, some.end)
    which = np.flatnonzero(hidden)
    if len(which):
        behind = buffer.take(2, some.cursor[which])
        some.protocol = some.protocol.copy()
        some.protocol[which] = behind[:, 0]
        some.cursor[which] += (behind[:, 1].astype(np.int64) + 2) * 4
        layer.extensions[some.which[which]] |= EXTENSION_BITS[packet.AUTHENTICATION]
    _transport(buffer, layer, some, CLASSES, tally, odd)


def _general6(
    buffer: Buffer, layer: Layer, few: Places, at: Places, stop: Places, room: Places, head: Bytes, tally: Tally,
    odd: Tally,
) -> None:  # fmt: skip
    short = at + 40 > stop
    payload = wide(head, 4)
    bad = (head[:, 0] >> 4 != 6) | (payload > room - 40)
    total = np.where(payload == 0, room, payload + 40)
    layer.sizes[few] = total
    _clear(layer, few)
    none = np.zeros(len(few), np.bool_)
    some = _Some(few, head[:, 6].copy(), at + 40, at + total, stop, none, none.copy())
    wanted = ~short
    layer.good[few[short]] = False
    tally["short_ipv6"] += int(short.sum())
    some = _fail(layer, _only(some, wanted), bad[wanted], tally, "bad_ipv6")
    bits = np.zeros(len(some.which), np.uint16)
    beyond = np.zeros(len(some.which), np.bool_)
    walking = np.flatnonzero(BITS[some.protocol])
    for _ in range(MOST_HEADERS):
        if not len(walking):
            break
        walking = _extension(buffer, some, walking, bits, beyond, odd)
    odd["long_chain"] += len(walking)
    layer.extensions[some.which] = bits
    odd["chain_beyond_fragment"] += int((beyond & some.part).sum())
    some = _fail(layer, some, beyond, tally, "bad_chain")
    _transport(buffer, layer, some, CLASSES_6, tally, odd)


def _extension(
    buffer: Buffer, some: _Some, walking: Places, bits: NDArray[np.uint16], beyond: Mask, odd: Tally
) -> Places:
    """Go past one extension header; gives those that stand before another."""
    past = some.cursor[walking] + 8 > some.end[walking]
    beyond[walking[past]] = True
    walking = walking[~past & (some.cursor[walking] + 8 <= some.stop[walking])]
    if not len(walking):
        return walking
    protocol, head = some.protocol[walking], buffer.take(8, some.cursor[walking])
    bits[walking] |= BITS[protocol]
    step = (head[:, 1].astype(np.int64) + 1) * 8
    step[protocol == packet.AUTHENTICATION] = (head[protocol == packet.AUTHENTICATION, 1].astype(np.int64) + 2) * 4
    routing = protocol == ROUTING
    if routing.any():
        odd["routing_type_0"] += int((head[routing, 2] == 0).sum())
    cut = protocol == packet.FRAGMENT
    if cut.any():
        step[cut] = 8
        field = wide(head, 2)[cut]
        some.part[walking[cut]] = field & 1 != 0
        some.later[walking[cut]] = field & 0xFFF8 != 0
        odd["atomic_fragment"] += int((field & 0xFFF9 == 0).sum())
    some.protocol[walking] = head[:, 0]
    some.cursor[walking] += step
    again: Places = walking[(BITS[head[:, 0]] != 0) & ~some.later[walking]]
    return again


def _clear(layer: Layer, few: Places) -> None:
    layer.keys.view(np.uint32)[few, 8] = 0
    layer.flags[few] = 0


def _transport(buffer: Buffer, layer: Layer, some: _Some, classes: NDArray[np.uint8], tally: Tally, odd: Tally) -> None:
    """Ports, flags, ICMP type; packets that may hold another are noted."""
    layer.keys.view(np.uint8)[some.which, 36] = some.protocol
    kinds = np.where(some.later, NO_PORTS, classes[some.protocol])
    known = np.array([0, 4, 14, 2, 0], np.int64)[kinds]
    short = (some.cursor + known > some.end) & (known != 0)
    odd["chain_beyond_fragment"] += int((short & some.part).sum())
    bad = short & ~some.part
    kinds = kinds[~bad]
    some = _fail(layer, some, bad, tally, "short_transport")
    there = some.cursor + np.where(kinds == ICMP, 2, 4) <= np.minimum(some.stop, some.end)
    there &= (kinds != NO_PORTS) & (kinds != SPECIAL) & ~(some.cursor + known[~bad] > some.end)
    which = np.flatnonzero(there)
    if len(which):
        head = buffer.take(14, some.cursor[which])
        rows, kind = some.which[which], kinds[which]
        pairs, behind = layer.keys.view(np.uint16), head.view(np.uint16)
        is_icmp = kind == ICMP
        pairs[rows, 16] = np.where(is_icmp, 0, behind[:, 0])
        pairs[rows, 17] = np.where(is_icmp, behind[:, 0], behind[:, 1])
        flagged = (kind == TCP) & (some.cursor[which] + 14 <= some.stop[which])
        layer.flags[rows[flagged]] = head[flagged, 13]
    holds = (kinds == SPECIAL) & ~some.part & (BITS[some.protocol] == 0)
    if holds.any():
        _inside(layer, some.which[holds], some.cursor[holds], some.end[holds])
    datagrams = np.flatnonzero((kinds == PORTS) & (some.protocol == packet.UDP) & ~some.part & there)
    if len(datagrams):
        ends, payload = layer.sizes * 0, layer.sizes * 0
        payload[some.which[datagrams]] = some.cursor[datagrams] + 8
        ends[some.which[datagrams]] = some.end[datagrams]
        _hidden(layer, some.which[datagrams], payload, ends)
