"""What a benchmark hands back: our figure beside a peer's, smaller is better."""

from __future__ import annotations

import msgspec


class Result(msgspec.Struct, frozen=True):
    """``ratio`` is ours / peer. Where there is no peer to measure, the peer is the bound that was promised."""

    what: str
    ours: float
    peer: float
    peer_name: str
    unit: str

    @property
    def ratio(self) -> float:
        return round(self.ours / self.peer, 4) if self.peer else 0.0


def line(bench: str, results: list[Result]) -> str:
    """The last line that a benchmark prints."""
    rows = [{**msgspec.to_builtins(result), "ratio": result.ratio} for result in results]
    return msgspec.json.encode({"bench": bench, "results": rows}).decode()
