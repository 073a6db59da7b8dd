"""Capture files of either kind, told apart by their first bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.decoders import pcap, pcapng
from agent.decoders.window import Piece, Window


def records(pieces: Iterable[Piece]) -> Iterator[pcap.Record]:
    """Every packet of a pcap or pcapng in order, with its link type.

    Raises Permanent, with the byte, where the file stops being a capture; what came before was given.
    """
    window = Window(pieces)
    window.more(0, 4)
    return pcapng.read(window) if window.data[:4] == pcapng.MAGIC else pcap.read(window)
