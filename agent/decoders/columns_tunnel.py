"""Packets in packets: where the inner one begins, and what to call the tunnel. Needs numpy (the extra ``fast``). Pure.

6in4, 4in6 and IP in IP (RFC 4213, 2473, 2003), GRE (RFC 2784, 2890), VXLAN (RFC 7348), Teredo (RFC 4380). A payload
that does not look like what its protocol or port says is no tunnel: anything may use a UDP port.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.decoders.columns_buffer import Buffer, Places, network_order
from agent.decoders.columns_link import IPV4, IPV6, NONE
from agent.decoders.columns_network import KEY, TEREDO, VXLAN

IPIP, SIX_IN_FOUR, FOUR_IN_SIX, GRE, VXLAN_KIND, TEREDO_KIND = range(1, 7)
NAMES = {IPIP: "ipip", SIX_IN_FOUR: "6in4", FOUR_IN_SIX: "4in6", GRE: "gre", VXLAN_KIND: "vxlan", TEREDO_KIND: "teredo"}
OUTER = np.dtype(
    {
        "names": ["source", "destination", "identifier", "kind", "version", "depth"],
        "formats": ["V16", "V16", "<u4", "u1", "u1", "u1"],
        "offsets": [0, 16, 32, 36, 37, 38],
        "itemsize": 40,
    }
)
"""``identifier``: GRE key or VXLAN network; ``depth``: how many headers were taken off."""
ETHERNET = network_order(0x6558)
AUTHENTICATION, ORIGIN = 1, 0


@dataclass(slots=True, eq=False)
class Tunnels:
    """Of each candidate: the ethertype of what is inside (NONE: not a tunnel; ETHERNET: a frame), where, and what."""

    kinds: NDArray[np.uint16]
    at: Places
    tunnel: NDArray[np.uint8]
    identifier: NDArray[np.uint32]


def tunnels(buffer: Buffer, keys: NDArray[np.uint64], payload: Places, stop: Places) -> Tunnels:
    """``keys`` are the rows of the outer headers; captured bytes end at ``stop``."""
    none = np.full(len(payload), NONE, np.uint16)
    made = Tunnels(none, payload.copy(), np.zeros(len(payload), np.uint8), np.zeros(len(payload), np.uint32))
    rows = keys.view(KEY)[:, 0]
    protocol, six = rows["protocol"], rows["version"] == 6
    for number, kind, plain in ((4, IPV4, ~six), (41, IPV6, six)):
        which = np.flatnonzero(protocol == number)
        made.kinds[which] = kind
        made.tunnel[which] = np.where(plain[which], IPIP, FOUR_IN_SIX if number == 4 else SIX_IN_FOUR)
    _gre(buffer, made, np.flatnonzero((protocol == 47) & (payload + 4 <= stop)), stop)
    udp = protocol == 17
    is_vxlan = udp & (rows["destination_port"] == VXLAN) & (payload + 8 <= stop)
    _vxlan(buffer, made, np.flatnonzero(is_vxlan))
    ports = (rows["destination_port"] == TEREDO) | (rows["source_port"] == TEREDO)
    _teredo(buffer, made, np.flatnonzero(udp & ports & ~is_vxlan & (payload + 40 <= stop)), stop)
    return made


def _gre(buffer: Buffer, made: Tunnels, some: Places, stop: Places) -> None:
    if not len(some):
        return
    head = buffer.take(4, made.at[some])
    flags = head[:, 0]
    has_sum, has_key, has_number = (flags & 0x80) >> 7, (flags & 0x20) >> 5, (flags & 0x10) >> 4
    key_at = made.at[some] + 4 + 4 * has_sum.astype(np.int64)
    after = key_at + 4 * (has_key.astype(np.int64) + has_number)
    # routing and the recursion bits are of RFC 1701; version 1 is PPTP
    good = ((flags & 0x4F) == 0) & (head[:, 1] & 7 == 0) & (after <= stop[some])
    some, kinds, has_key, key_at, after = some[good], head[good].view(np.uint16)[:, 1], has_key[good], key_at[good], after[good]  # fmt: skip # noqa: E501
    if not len(some):
        return
    known = (kinds == IPV4) | (kinds == IPV6) | (kinds == ETHERNET)
    made.kinds[some] = np.where(known, kinds, NONE)
    made.tunnel[some] = GRE
    numbers = buffer.take(4, np.where(has_key == 1, key_at, made.at[some])).view(">u4")[:, 0]
    made.identifier[some] = np.where(has_key == 1, numbers, 0)
    made.at[some] = after


def _vxlan(buffer: Buffer, made: Tunnels, some: Places) -> None:
    if not len(some):
        return
    head = buffer.take(8, made.at[some])
    some, head = some[head[:, 0] & 0x08 != 0], head[head[:, 0] & 0x08 != 0]
    made.kinds[some] = ETHERNET
    made.tunnel[some] = VXLAN_KIND
    made.identifier[some] = head.view(">u4")[:, 1] >> 8
    made.at[some] += 8


def _teredo(buffer: Buffer, made: Tunnels, some: Places, stop: Places) -> None:
    if not len(some):
        return
    at = made.at[some]
    head = buffer.take(4, at)
    secured = (head[:, 0] == 0) & (head[:, 1] == AUTHENTICATION)
    # RFC 4380, 5.1.1: identifier and authentication value, their lengths before, a nonce and a confirmation after
    at = at + np.where(secured, 13 + head[:, 2].astype(np.int64) + head[:, 3], 0)
    inside = at + 40 <= stop[some]
    some, at = some[inside], at[inside]
    head = buffer.take(4, at)
    at = at + np.where((head[:, 0] == 0) & (head[:, 1] == ORIGIN), 8, 0)
    inside = at + 40 <= stop[some]
    some, at = some[inside], at[inside]
    good = buffer.take(1, at)[:, 0] >> 4 == 6
    made.kinds[some[good]] = IPV6
    made.tunnel[some[good]] = TEREDO_KIND
    made.at[some[good]] = at[good]
