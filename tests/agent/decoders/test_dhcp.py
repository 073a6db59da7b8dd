from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import datagram, dhcp
from telemetry.errors import Permanent
from tests.agent.decoders.tshark import CAPTURES, fields, frames

MESSAGES = [m.payload for m in map(datagram.locate, frames("dhcp.pcap")) if m.version == 4]


def message(*options: bytes, op: int = 2, overload: bytes = b"", gateway: bytes = bytes(4)) -> bytes:
    head = bytes([op, 1, 6, 0]) + bytes(12) + b"\xc0\0\2\x64" + bytes(4) + gateway + b"\2\0\0\0\0\x09" + bytes(10)
    return head + bytes(64) + overload.ljust(128, b"\0") + dhcp.COOKIE + b"".join(options) + b"\xff"


OFFER = b"\x35\x01\x02"


@given(st.binary(max_size=400))
def test_any_bytes_give_a_message_or_permanent(data: bytes) -> None:
    for candidate in (data, message(OFFER, data), message(b"\x34\x01\x03", OFFER, overload=data[:128])):
        with contextlib.suppress(Permanent):
            dhcp.decode(candidate)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_changed_message_gives_a_message_or_permanent(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Permanent):
        dhcp.decode(bytes(changed))


def test_an_offer_says_who_gives_what() -> None:
    made = dhcp.decode(
        message(OFFER, b"\x36\x04\xc0\0\2\1", b"\x03\x08\xc0\0\2\1\xc0\0\2\2", b"\0\0", b"\x06\x04\xc0\0\2\x35")
    )
    assert made == dhcp.Message("offer", True, "02:00:00:00:00:09", "192.0.2.100", "192.0.2.1", "",
                                ("192.0.2.1", "192.0.2.2"), ("192.0.2.53",), False)  # fmt: skip


def test_options_in_the_fields_for_booting_count_too() -> None:
    made = dhcp.decode(message(b"\x34\x01\x01", overload=OFFER + b"\x36\x04\xc0\0\2\7\xff"))
    assert (made.type, made.server) == ("offer", "192.0.2.7")


def test_a_client_s_name_is_bounded_and_can_be_printed() -> None:
    made = dhcp.decode(message(b"\x35\x01\x01", b"\x0c\xc8" + b"\x1bpc\n" * 50, op=1, gateway=b"\xc0\0\2\1"))
    assert made.name == ("?pc?" * 50)[:64]
    assert made.relayed
    assert not made.from_server


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_dhcp"),
        (message(OFFER, op=3), "not_dhcp"),
        (message(), "not_dhcp"),
        (message(b"\x35\x01\x63"), "not_dhcp"),
        (message(OFFER)[:-4] + b"\x35\x09", "bad_option"),
        (message(*[b"\x01\x00"] * 300), "bad_option"),
    ],
)
def test_what_is_no_dhcp_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        dhcp.decode(data)


@pytest.mark.needs("tshark")
def test_tshark_reads_the_same() -> None:
    rows = fields(CAPTURES / "dhcp.pcap", "dhcp.option.dhcp", "dhcp.hw.mac_addr", "dhcp.option.dhcp_server_id",
                  "dhcp.option.router", "dhcp.option.domain_name_server", "dhcp.option.hostname")  # fmt: skip
    made = [dhcp.decode(payload) for payload in MESSAGES]
    ours = [
        (str(dhcp.TYPES.index(m.type)), m.client, m.server, ",".join(m.routers), ",".join(m.resolvers), m.name)
        for m in made
    ]
    # the hardware address stands in the client identifier once more
    assert ours == [(kind, mac.split(",")[0], *rest) for kind, mac, *rest in rows if kind]
    assert [m.type for m in made] == ["discover", "offer", "discover", "offer", "request", "ack"]
    assert made[0].name == "pc-7"
