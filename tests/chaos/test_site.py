"""A fault is done also where the cluster can not take it at once, and those after it keep their distance."""

from __future__ import annotations

import time
from types import SimpleNamespace

from tests.chaos.run import Run
from tests.chaos.schedule import Fault, Kind
from tests.chaos.site import Site


def test_a_cluster_without_a_master_is_asked_again() -> None:
    asked: list[bytes] = []

    def request(method: str, path: str, body: bytes) -> bytes:
        asked.append(body)
        if len(asked) < 3:
            raise ConnectionError("HTTP Error 503: Service Unavailable")
        return b"{}"

    cluster = SimpleNamespace(request=request, nodes=[])
    site = Site(None, [], {}, cluster, print)  # type: ignore[arg-type]
    fault = Fault(0, 1, Kind.READ_ONLY, "elasticsearch")
    site.begin(fault)
    site.heal(fault)
    assert asked == [b'{"index.blocks.read_only_allow_delete": true}'] * 3 + [
        b'{"index.blocks.read_only_allow_delete": null}'
    ]


def test_a_node_goes_down_only_when_all_are_there() -> None:
    done: list[str] = []
    cluster = SimpleNamespace(
        wait=lambda: done.append("all there"), kill=lambda node: done.append(f"kill {node}"), nodes=[]
    )
    Site(None, [], {}, cluster, print).begin(Fault(0, 1, Kind.KILL_NODE, "2"))  # type: ignore[arg-type]
    assert done == ["all there", "kill 2"]


def test_a_fault_that_takes_long_does_not_bring_the_next_ones_nearer() -> None:
    at: list[float] = []

    def begin(fault: Fault) -> None:
        at.append(time.monotonic())
        time.sleep(0.6 if len(at) == 1 else 0)

    site = SimpleNamespace(begin=begin, heal=begin, supervise=lambda: None)
    faults = [Fault(0, 0.2, Kind.READ_ONLY, "elasticsearch"), Fault(0.4, 0.1, Kind.KILL_NODE, "1")]
    Run(print).faults(site, faults)  # type: ignore[arg-type]
    assert at[1] - at[0] >= 0.8, "healed 0.2 s after it was done"
    assert at[2] - at[1] >= 0.15
