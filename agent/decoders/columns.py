"""Many packets at once to rows of flow keys, sizes and flags. Needs numpy (the extra ``fast``). Pure.

A packet's row is that of its innermost IP header; what it was wrapped in is kept beside it (``outer``), and its size is
that of the outermost IP packet, so that sums are those of the wire. Where what is inside is malformed, no IP, or
part of a fragment, the row is that of the header before. Every packet is either in ``rows`` or counted in ``skipped``;
``odd`` counts packets that are in ``rows`` and say something about whoever sent them. Any bytes give this and nothing
else: every loop is bounded by a number of headers.

Rows are in order of capture within each IP version, which is all that a table of flows needs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.decoders.batch import Batch
from agent.decoders.columns_buffer import Buffer, Places, Tally, buffer
from agent.decoders.columns_link import ETHERNET as LINK_ETHERNET
from agent.decoders.columns_link import IPV4, IPV6, NONE, network
from agent.decoders.columns_network import WORDS, Layer, ipv4, ipv6
from agent.decoders.columns_tunnel import ETHERNET, OUTER, tunnels

DEEPEST = 4
"""Packets in packets that are followed; one that holds yet another is counted as odd."""


@dataclass(slots=True, eq=False)
class Columns:
    """``keys`` are words of ``columns_network.KEY``; ``outer`` of ``columns_tunnel.OUTER``, for ``wrapped`` rows."""

    rows: Places
    keys: NDArray[np.uint64]
    sizes: Places
    flags: NDArray[np.uint8]
    words: NDArray[np.uint32]
    extensions: NDArray[np.uint16]
    wrapped: Places
    outer: NDArray[np.uint64]
    skipped: Counter[str]
    odd: Counter[str]


def decode(batch: Batch, vlans: NDArray[np.uint16] | None = None) -> Columns:
    """``vlans`` are tags that the kernel has already taken off."""
    seen, at = buffer(batch)
    skipped: Tally = Counter()
    odd: Tally = Counter()
    stop, wire = at + batch.captured, at + batch.lengths
    found = network(seen, batch.link, at, stop, vlans, skipped)
    parts = []
    for kind, read in ((IPV4, ipv4), (IPV6, ipv6)):
        rows = np.flatnonzero(found.kinds == kind)
        if not len(rows):
            continue
        whole = len(rows) == len(at)
        places = (found.at, stop, wire, found.vlans) if whole else (found.at[rows], stop[rows], wire[rows], found.vlans[rows])  # fmt: skip # noqa: E501
        layer = read(seen, *places, skipped, odd)
        wrapped, outer = _unwrap(seen, layer, stop[rows], odd) if len(layer.inside) else _nothing()
        parts.append(_part(rows, layer, wrapped, outer))
    made = _joined(parts)
    made.skipped, made.odd = +skipped, +odd
    return made


def _nothing() -> tuple[Places, NDArray[np.uint64]]:
    return np.zeros(0, np.int64), np.zeros((0, OUTER.itemsize // 8), np.uint64)


def _part(rows: Places, layer: Layer, wrapped: Places, outer: NDArray[np.uint64]) -> Columns:
    none: Tally = Counter()
    good = layer.good
    if good.all():
        return Columns(
            rows, layer.keys, layer.sizes, layer.flags, layer.words, layer.extensions, wrapped, outer, none, none
        )
    keep = np.flatnonzero(good)
    return Columns(
        rows[keep], layer.keys[keep], layer.sizes[keep], layer.flags[keep], layer.words[keep], layer.extensions[keep],
        np.searchsorted(keep, wrapped), outer, none, none,
    )  # fmt: skip


def _joined(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    none: Tally = Counter()
    if not parts:
        empty = np.zeros(0, np.int64)
        keys = np.zeros((0, WORDS), np.uint64)
        flags, words, bits = empty.astype(np.uint8), empty.astype(np.uint32), empty.astype(np.uint16)
        return Columns(empty, keys, empty, flags, words, bits, *_nothing(), none, none)
    four, six = parts
    return Columns(
        np.concatenate([four.rows, six.rows]),
        np.concatenate([four.keys, six.keys]),
        np.concatenate([four.sizes, six.sizes]),
        np.concatenate([four.flags, six.flags]),
        np.concatenate([four.words, six.words]),
        np.concatenate([four.extensions, six.extensions]),
        np.concatenate([four.wrapped, six.wrapped + len(four.rows)]),
        np.concatenate([four.outer, six.outer]),
        none,
        none,
    )


def _unwrap(seen: Buffer, layer: Layer, stop: Places, odd: Tally) -> tuple[Places, NDArray[np.uint64]]:
    """Put the innermost packet's key in the place of the outermost's, where there is one; gives the outer ones."""
    outer = np.zeros((len(layer.good), OUTER.itemsize // 8), np.uint64)
    described = outer.view(OUTER)[:, 0]
    inside, payload, ends = layer.inside, layer.payload, layer.ends
    for depth in range(DEEPEST + 1):
        if depth == DEEPEST:
            odd["deep_tunnel"] += len(inside)
            break
        wrap = tunnels(seen, layer.keys[inside], payload, stop[inside])
        _frames(seen, wrap.kinds, wrap.at, stop[inside])
        next_inside, next_payload, next_ends = [], [], []
        for kind, read in ((IPV4, ipv4), (IPV6, ipv6)):
            which = np.flatnonzero(wrap.kinds == kind)
            if not len(which):
                continue
            rows = inside[which]
            vlans = layer.keys[rows].view("<u2")[:, 19].astype(np.uint16)
            inner_skipped: Tally = Counter()
            inner = read(seen, wrap.at[which], stop[rows], ends[which], vlans, inner_skipped, odd)
            odd["inner_malformed"] += inner_skipped.total()
            good = np.flatnonzero(inner.good)
            rows, which = rows[good], which[good]
            if depth == 0:
                outer[rows, :4] = layer.keys[rows, :4]
                described["version"][rows] = layer.keys[rows].view(np.uint8)[:, 37]
                described["kind"][rows] = wrap.tunnel[which]
                described["identifier"][rows] = wrap.identifier[which]
            described["depth"][rows] = depth + 1
            layer.keys[rows] = inner.keys[good]
            layer.flags[rows] = inner.flags[good]
            layer.words[rows] = inner.words[good]
            layer.extensions[rows] |= inner.extensions[good]
            deeper = inner.good[inner.inside]
            next_inside.append(inside[np.flatnonzero(wrap.kinds == kind)][inner.inside[deeper]])
            next_payload.append(inner.payload[deeper])
            next_ends.append(inner.ends[deeper])
        if not next_inside:
            break
        inside, payload, ends = map(np.concatenate, (next_inside, next_payload, next_ends))
        if not len(inside):
            break
    wrapped = np.flatnonzero(described["depth"])
    return wrapped, outer[wrapped]


def _frames(seen: Buffer, kinds: NDArray[np.uint16], at: Places, stop: Places) -> None:
    """Where a frame is inside, what is in the frame; tags in it are gone past, and do not count as the packet's."""
    frames = np.flatnonzero(kinds == ETHERNET)
    if not len(frames):
        return
    found = network(seen, LINK_ETHERNET, at[frames], stop[frames], None, Counter())
    known = (found.kinds == IPV4) | (found.kinds == IPV6)
    kinds[frames] = np.where(known, found.kinds, NONE)
    at[frames] = found.at
