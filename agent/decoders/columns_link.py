"""Link layers of many packets at once: where the IP header is. Needs numpy (the extra ``fast``). Pure.

Ethernet with 802.1Q, 802.1ad and the older 0x9100 and 0x9200 tags, MPLS (RFC 3032; what follows as in RFC 4928), PPPoE
(RFC 2516), Linux cooked captures of both versions, BSD loopback, raw IP. The common case costs one look-up; tags and
labels are followed on the few packets that have them, to a bounded depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.decoders.columns_buffer import Buffer, Mask, Places, Tally, network_order

ETHERNET, LOOPBACK, LOOP, SLL, SLL2 = 1, 0, 108, 113, 276
RAW = frozenset({12, 14, 101, 228, 229})
LINKS = RAW | {ETHERNET, LOOPBACK, LOOP, SLL, SLL2}
IPV4, IPV6, ARP = (network_order(kind) for kind in (0x0800, 0x86DD, 0x0806))
NONE = 0
TAGS = tuple(network_order(kind) for kind in (0x8100, 0x88A8, 0x9100, 0x9200))
MPLS = tuple(network_order(kind) for kind in (0x8847, 0x8848))
PPPOE = network_order(0x8864)
HEADERS = {ETHERNET: (14, 12), SLL: (16, 14), SLL2: (20, 0)}
"""Length, and where the ethertype is."""
MOST = 24
"""Tags and labels of one packet that are followed."""
PPP = {0x0021: IPV4, 0x0057: IPV6}


@dataclass(slots=True, eq=False)
class Network:
    """For each packet: ethertype in network order (NONE: it was counted), where its header is, the VLAN."""

    kinds: NDArray[np.uint16]
    at: Places
    vlans: NDArray[np.uint16]


def network(
    buffer: Buffer, link: int, at: Places, stop: Places, vlans: NDArray[np.uint16] | None, tally: Tally
) -> Network:
    """``at`` is where each frame starts, ``stop`` where its captured bytes end; what is malformed is counted."""
    found = np.zeros(len(at), np.uint16) if vlans is None else vlans.astype(np.uint16)
    if link in HEADERS:
        length, place = HEADERS[link]
        kinds = buffer.numbers(at + place)
        network_at = at + length
        short = network_at > stop
        if not kinds.all():
            tally["not_ip"] += int((~short & (kinds == NONE)).sum())
        if short.any():
            kinds[short] = NONE
            tally["short_frame"] += int(short.sum())
    else:
        length = 4 if link in (LOOPBACK, LOOP) else 0
        network_at = at + length
        kinds = np.full(len(at), NONE, np.uint16)
        short = network_at >= stop
        if link in LINKS:
            _by_version(buffer, network_at, ~short, kinds)
            tally["not_ip"] += int((~short & (kinds == NONE)).sum())
            tally["short_frame"] += int(short.sum())
        else:
            tally["link_type"] += len(at)
    made = Network(kinds, network_at, found)
    others = np.flatnonzero((kinds != IPV4) & (kinds != IPV6) & (kinds != NONE))
    for _ in range(MOST):
        others = _step(buffer, made, others, stop, tally)
        if not len(others):
            return made
    made.kinds[others] = NONE
    tally["many_tags"] += len(others)
    return made


def _by_version(buffer: Buffer, at: Places, which: Mask, kinds: NDArray[np.uint16]) -> None:
    """The IP version says what it is."""
    some = np.flatnonzero(which)
    versions = buffer.take(1, at[some])[:, 0] >> 4
    kinds[some[versions == 4]] = IPV4
    kinds[some[versions == 6]] = IPV6


def _step(buffer: Buffer, made: Network, others: Places, stop: Places, tally: Tally) -> Places:
    """Go past one tag, stack of labels or PPPoE header; gives those that are neither IP nor known not to be."""
    kinds = made.kinds[others]
    tagged, labelled, session = _one_of(kinds, TAGS), _one_of(kinds, MPLS), kinds == PPPOE
    rest = others[~(tagged | labelled | session)]
    if len(rest):
        # ethertype 0 is NONE here: it was never told from a packet that is counted already, and is no protocol
        is_arp = made.kinds[rest] == ARP
        tally["arp"] += int(is_arp.sum())
        tally["not_ip"] += int((~is_arp).sum())
        made.kinds[rest] = NONE
    again = [_tag(buffer, made, others[tagged], stop, tally), _label(buffer, made, others[labelled], stop, tally)]
    _pppoe(buffer, made, others[session], stop, tally)
    return np.concatenate(again)


def _one_of(kinds: NDArray[np.uint16], wanted: tuple[int, ...]) -> Mask:
    found: Mask = kinds == wanted[0]
    for kind in wanted[1:]:
        found |= kinds == kind
    return found


def _room(made: Network, some: Places, stop: Places, need: int, tally: Tally, reason: str) -> Places:
    """Those that have so many bytes left; the others are counted."""
    short = made.at[some] + need > stop[some]
    if short.any():
        made.kinds[some[short]] = NONE
        tally[reason] += int(short.sum())
        return some[~short]
    return some


def _zero(made: Network, some: Places, tally: Tally) -> Places:
    """Those that are no IP yet; an ethertype of 0 is nothing, and would look like a packet that was counted."""
    kinds = made.kinds[some]
    tally["not_ip"] += int((kinds == NONE).sum())
    again: Places = some[(kinds != NONE) & (kinds != IPV4) & (kinds != IPV6)]
    return again


def _tag(buffer: Buffer, made: Network, some: Places, stop: Places, tally: Tally) -> Places:
    some = _room(made, some, stop, 4, tally, "short_tag")
    if not len(some):
        return some
    head = buffer.take(4, made.at[some])
    number = head.view(">u2")[:, 0].astype(np.uint16) & 0x0FFF
    made.vlans[some] = np.where(made.vlans[some], made.vlans[some], number)
    made.kinds[some] = head.view(np.uint16)[:, 1]
    made.at[some] += 4
    return _zero(made, some, tally)


def _label(buffer: Buffer, made: Network, some: Places, stop: Places, tally: Tally) -> Places:
    some = _room(made, some, stop, 5, tally, "short_label")
    if not len(some):
        return some
    bottom = buffer.take(4, made.at[some])[:, 2] & 1
    made.at[some] += 4
    last = np.zeros(len(made.at), np.bool_)
    last[some[bottom == 1]] = True
    made.kinds[last] = NONE
    _by_version(buffer, made.at, last, made.kinds)
    tally["not_ip"] += int((made.kinds[last] == NONE).sum())
    again: Places = some[bottom == 0]
    return again


def _pppoe(buffer: Buffer, made: Network, some: Places, stop: Places, tally: Tally) -> None:
    some = _room(made, some, stop, 8, tally, "short_pppoe")
    if not len(some):
        return
    head = buffer.take(8, made.at[some])
    # RFC 1661, 6.5: a protocol below 256 may be told in one byte, which is odd
    compressed = (head[:, 6] & 1) == 1
    number = np.where(compressed, head[:, 6], head.view(">u2")[:, 3])
    kinds = np.full(len(some), NONE, np.uint16)
    for protocol, kind in PPP.items():
        kinds[number == protocol] = kind
    kinds[head[:, 0] != 0x11] = NONE
    made.kinds[some] = kinds
    made.at[some] += np.where(compressed, 7, 8)
    tally["not_ip"] += int((kinds == NONE).sum())
