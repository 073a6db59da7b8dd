from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import rtnetlink
from telemetry.errors import Permanent


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def v6(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


def route(*attributes: bytes, length: int = 64, family: int = 10) -> bytes:
    return struct.pack("=BBBBBBBBI", family, length, 0, 0, 254, 4, 0, 1, 0) + b"".join(attributes)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_permanent(data: bytes) -> None:
    with contextlib.suppress(Permanent):
        for message in rtnetlink.messages(data):
            rtnetlink.error(message)
    for decode in (rtnetlink.link, rtnetlink.address, rtnetlink.routes, rtnetlink.neighbor):
        with contextlib.suppress(Permanent):
            decode(data)


@settings(max_examples=200)
@given(st.sampled_from([2, 10]), st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=40)), max_size=6))
def test_any_attributes_give_records_or_permanent(family: int, attributes: list[tuple[int, bytes]]) -> None:
    tail = b"".join(attribute(kind, data) for kind, data in attributes)
    for decode, head in (
        (rtnetlink.link, 16),
        (rtnetlink.address, 8),
        (rtnetlink.routes, 12),
        (rtnetlink.neighbor, 12),
    ):
        with contextlib.suppress(Permanent):
            decode(bytes([family]) + bytes(head - 1) + tail)


def test_messages_are_taken_apart_with_their_padding() -> None:
    def message(kind: int, body: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(body), kind, 2, 7, 0) + body + bytes(-len(body) % 4)

    found = list(rtnetlink.messages(message(24, b"abcde") + message(3, b"")))
    assert [(m.type, m.sequence, m.body) for m in found] == [(24, 7, b"abcde"), (3, 7, b"")]
    (refused,) = rtnetlink.messages(message(rtnetlink.ERROR, struct.pack("=i", -1)))
    assert rtnetlink.error(refused) == 1


def test_a_multipath_route_is_one_row_a_next_hop() -> None:
    hops = b"".join(
        struct.pack("=HBBi", 8 + len(gateway), 0, 0, index) + gateway
        for index, gateway in ((3, attribute(5, v6("fe80::1"))), (4, attribute(5, v6("fe80::2"))))
    )
    body = route(attribute(1, v6("2001:db8::")), attribute(6, struct.pack("=I", 20)), attribute(9, hops))
    assert [(r.prefix, r.next_hop, r.index, r.metric) for r in rtnetlink.routes(body)] == [
        ("2001:db8::/64", "fe80::1", 3, 20),
        ("2001:db8::/64", "fe80::2", 4, 20),
    ]


def test_a_default_route_and_a_next_hop_of_the_other_family() -> None:
    via = struct.pack("=H", 10) + v6("fe80::9")
    (found,) = rtnetlink.routes(route(attribute(18, via), attribute(4, struct.pack("=I", 2)), length=0, family=2))
    assert (found.prefix, found.next_hop, found.index) == ("0.0.0.0/0", "fe80::9", 2)
    (found,) = rtnetlink.routes(route(length=0))
    assert (found.prefix, found.next_hop) == ("::/0", "")


def test_a_point_to_point_address_is_the_own_one() -> None:
    body = struct.pack("=BBBBI", 2, 32, 0, 0, 5) + attribute(1, b"\n\0\0\2") + attribute(2, b"\n\0\0\1")
    assert rtnetlink.address(body).ip == "10.0.0.1"


@pytest.mark.parametrize("bad", [b"\x05\0\1\0", struct.pack("=HH", 3, 1), struct.pack("=HH", 400, 1)])
def test_an_attribute_that_does_not_fit_is_refused(bad: bytes) -> None:
    with pytest.raises(Permanent, match="short_netlink"):
        rtnetlink.neighbor(struct.pack("=BxxxiHBB", 10, 1, 2, 0, 0) + bad)
