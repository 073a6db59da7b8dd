from __future__ import annotations

import socket

from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import ndp
from agent.neighbours import Neighbours
from telemetry.event import Event
from telemetry.validate import validate
from telemetry.work import Router, Work
from tests.agent.decoders.frames import advertisement, prefix

A, B, C = (bytes([2, 0, 0, 0, 0, number]) for number in (1, 2, 3))
LINK_LOCAL, ALL = socket.inet_pton(socket.AF_INET6, "fe80::9"), socket.inet_pton(socket.AF_INET6, "ff02::1")
TARGET = socket.inet_pton(socket.AF_INET6, "2001:db8::7")
MULTICAST = b"\x33\x33\0\0\0\1"


def message(body: bytes, mac: bytes, source: bytes = LINK_LOCAL, hop_limit: int = 255) -> ndp.Message:
    return ndp.Message(mac, MULTICAST, source, ALL, hop_limit, 0, (), b"", ndp.ICMPV6, body)


def solicitation(mac: bytes, target: bytes = TARGET, source: bytes = bytes(16)) -> ndp.Message:
    option = b"\1\1" + mac if any(source) else b""
    return message(bytes([135]) + bytes(7) + target + option, mac, source)


def advert(mac: bytes, target: bytes = TARGET, option: bool = True, hop_limit: int = 255) -> ndp.Message:
    body = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + target + (b"\2\1" + mac if option else b"")
    return message(body, mac, hop_limit=hop_limit)


def see(held: Neighbours, seen: ndp.Message, now: float = 0.0) -> Event | None:
    made = held.see(seen, 2, now, int(now * 1000))
    return validate(made) if made else None


def test_an_answer_to_duplicate_address_detection_is_told() -> None:
    held = Neighbours()
    assert see(held, solicitation(A)) is None
    made = see(held, advert(B), 0.5)
    assert made is not None
    assert made["event.action"] == "duplicate_address"
    assert (made["source.mac"], made["tengwang.ndp.former_mac"]) == ("02:00:00:00:00:02", "02:00:00:00:00:01")
    assert made["tengwang.ndp.target"] == "2001:db8::7"
    assert (made["tengwang.ndp.targets"], made["tengwang.ndp.macs"]) == (1, 1)
    other = socket.inet_pton(socket.AF_INET6, "2001:db8::8")
    see(held, solicitation(A, other), 1.0)
    made = see(held, advert(C, other, option=False), 1.5)
    assert made is not None
    assert (made["tengwang.ndp.targets"], made["tengwang.ndp.macs"]) == (2, 2)


def test_two_that_ask_for_one_address_at_once_are_told() -> None:
    held = Neighbours()
    see(held, solicitation(A))
    made = see(held, solicitation(B), 0.5)
    assert made is not None
    assert made["event.action"] == "duplicate_address"


def test_an_address_that_moves_is_told_once_and_then_counted() -> None:
    held = Neighbours()
    see(held, advert(A))
    assert see(held, solicitation(A, source=TARGET), 1.0) is None
    made = see(held, advert(B), 2.0)
    assert made is not None
    assert (made["event.action"], made["tengwang.ndp.messages"]) == ("address_moved", 1)
    for now in (3.0, 4.0):
        conflict = see(held, advert(A), now)
        assert (conflict is not None) == (now == 3.0)
        see(held, advert(B), now + 0.5)
    told = [made for _, made in held.flush(9000)]
    assert {str(made["event.action"]): made["tengwang.ndp.messages"] for made in told} == {"address_conflict": 1}


def test_the_gateway_s_address_in_other_hands_is_told_without_a_former_owner() -> None:
    held = Neighbours()
    held.know(Work("1", routers=(Router("r", ("2001:db8::7",), ("02:00:00:00:00:01",)),)))
    made = see(held, advert(B))
    assert made is not None
    assert made["event.action"] == "registered_address_claimed"
    assert made["tengwang.ndp.former_mac"] == "02:00:00:00:00:01"


def test_what_came_through_a_router_claims_nothing() -> None:
    held = Neighbours()
    see(held, advert(A))
    assert see(held, advert(B, hop_limit=64), 1.0) is None


def test_a_flood_of_advertisements_is_told_with_how_different_they_are() -> None:
    held = Neighbours()
    for number in range(300):
        see(held, advert(number.to_bytes(6, "big"), number.to_bytes(16, "big")), 0.001 * number)
    ((index, made),) = list(held.due(1.0, 1000))
    validate(made)
    assert index == 2
    assert made["event.action"] == "neighbor_advertisement_flood"
    assert made["tengwang.ndp.messages"] == made["tengwang.ndp.macs"] == made["tengwang.ndp.targets"] == 300
    assert "source.mac" not in made


def test_a_flood_of_routers_is_told_with_its_prefixes_and_its_one_source() -> None:
    held = Neighbours()
    for number in range(60):
        body = advertisement(*(prefix(f"2001:db8:{number:x}:{at:x}::", 64, 100) for at in range(20)))
        see(held, message(body, A), 0.001 * number)
    ((_, made),) = list(held.due(1.0, 1000))
    assert made["event.action"] == "router_advertisement_flood"
    assert (made["tengwang.ndp.messages"], made["tengwang.ndp.prefix_count"]) == (60, 1200)
    assert made["source.mac"] == "02:00:00:00:00:01"


@given(st.sampled_from([133, 134, 135, 136, 137, 1]), st.binary(max_size=60), st.binary(min_size=16, max_size=16))
def test_any_message_gives_an_event_or_nothing(kind: int, body: bytes, source: bytes) -> None:
    held = Neighbours()
    for mac in (A, B, A):
        see(held, message(bytes([kind]) + body, mac, source))
    for _, made in held.flush(0):
        validate(made)
