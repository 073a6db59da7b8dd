from __future__ import annotations

from agent.segment import MAX_ADVERTISEMENTS, SegmentView, view
from telemetry.event import Event, event


def seen(at_ms: int, source: str = "fe80::1", prefix: str = "2001:db8::/64") -> Event:
    made = event(at_ms, "tengwang.ndp", "router_advertisement")
    made["source.ip"], made["tengwang.ndp.prefixes"] = source, [prefix]
    return made


def test_the_latest_of_each_router_and_prefix_is_kept() -> None:
    held = SegmentView()
    for at, source, prefix in (
        (1000, "fe80::1", "a"),
        (2000, "fe80::2", "a"),
        (3000, "fe80::1", "b"),
        (4000, "fe80::1", "a"),
    ):
        held.record(seen(at, source, prefix))
    assert [e["@timestamp"] for e in held.advertisements(4000, 60)] == [2000, 3000, 4000]
    assert [e["@timestamp"] for e in held.advertisements(4500, 1)] == [4000]


def test_what_is_given_is_a_copy() -> None:
    held = SegmentView()
    made = seen(1000)
    held.record(made)
    made["source.ip"] = "fe80::bad"
    held.advertisements(1000, 1)[0]["source.ip"] = "fe80::bad"
    assert held.advertisements(1000, 1)[0]["source.ip"] == "fe80::1"


def test_a_flood_pushes_out_the_oldest() -> None:
    held = SegmentView()
    for number in range(MAX_ADVERTISEMENTS + 10):
        held.record(seen(1000, f"fe80::{number:x}"))
    found = held.advertisements(1000, 1)
    assert len(found) == MAX_ADVERTISEMENTS
    assert found[0]["source.ip"] == "fe80::a"


def test_there_is_one_view_a_process() -> None:
    assert view() is view()
    held = SegmentView()
    held.listening(5, ("eth0",))
    assert (held.listening_since_ms, held.interfaces) == (5, ("eth0",))
