"""A fault is done also where the cluster can not take it at once."""

from __future__ import annotations

from types import SimpleNamespace

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
    site = Site(None, None, {}, cluster, print)  # type: ignore[arg-type]
    fault = Fault(0, 1, Kind.READ_ONLY, "elasticsearch")
    site.begin(fault)
    site.heal(fault)
    assert asked == [b'{"index.blocks.read_only_allow_delete": true}'] * 3 + [
        b'{"index.blocks.read_only_allow_delete": null}'
    ]
