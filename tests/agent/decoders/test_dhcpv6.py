from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders import datagram, dhcpv6
from telemetry.errors import Permanent
from tests.agent.decoders.tshark import CAPTURES, fields, frames

MESSAGES = [m.payload for m in map(datagram.locate, frames("dhcp.pcap")) if m.version == 6]
DUID = bytes.fromhex("0003000102000000000a")


def option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, text)


def reply(*options: bytes, kind: int = 7) -> bytes:
    return bytes([kind, 1, 2, 3]) + b"".join(options)


@given(st.binary(max_size=200), st.integers(0, 14))
def test_any_bytes_give_a_message_or_permanent(data: bytes, kind: int) -> None:
    for candidate in (data, bytes([kind]) + data, reply(option(3, bytes(12) + data))):
        with contextlib.suppress(Permanent):
            dhcpv6.decode(candidate)


@given(st.sampled_from(MESSAGES), st.data())
def test_a_changed_message_gives_a_message_or_permanent(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Permanent):
        dhcpv6.decode(bytes(changed))


def test_a_reply_says_who_gives_what_also_behind_a_relay() -> None:
    given_ = option(3, bytes(12) + option(5, address("2001:db8::7") + bytes(8)))
    delegated = option(25, bytes(12) + option(26, bytes(8) + b"\x38" + address("2001:db8:ff00::")))
    whole = reply(option(2, DUID), given_, delegated, option(23, address("2001:db8::53")), option(39, b"\0\2pc\0"))
    made = dhcpv6.decode(whole)
    wanted = dhcpv6.Message("reply", True, "", ("2001:db8::7",), ("2001:db8:ff00::/56",), DUID.hex(), "pc",
                            ("2001:db8::53",), False)  # fmt: skip
    assert made == wanted
    relayed = bytes([13, 0]) + bytes(32) + option(9, whole)
    assert dhcpv6.decode(relayed).relayed
    assert dhcpv6.decode(relayed).server == made.server


def test_the_mac_is_read_from_a_duid_that_was_made_of_one() -> None:
    assert dhcpv6.duid_mac(DUID.hex()) == "02:00:00:00:00:0a"
    assert dhcpv6.duid_mac("00010001329b600002000000000b") == "02:00:00:00:00:0b"
    assert dhcpv6.duid_mac("0004" + "00" * 16) == ""
    assert dhcpv6.duid_mac("") == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\7\0\0", "not_dhcpv6"),
        (b"\xff\0\0\0", "not_dhcpv6"),
        (reply(b"\0\1\0\5abc"), "bad_option"),
        (reply(b"\0\1\0"), "bad_option"),
        (reply(*[option(99, b"")] * 300), "bad_option"),
        ((bytes([12, 0]) + bytes(32)), "not_dhcpv6"),
    ],
)
def test_what_is_no_dhcpv6_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Permanent, match=reason):
        dhcpv6.decode(data)


def test_relays_without_end_are_refused() -> None:
    data = reply()
    for _ in range(9):
        data = bytes([12, 0]) + bytes(32) + option(9, data)
    with pytest.raises(Permanent, match="long_chain"):
        dhcpv6.decode(data)


@pytest.mark.needs("tshark")
def test_tshark_reads_the_same() -> None:
    rows = fields(
        CAPTURES / "dhcp.pcap", "dhcpv6.msgtype", "dhcpv6.duid.bytes", "dhcpv6.iaaddr.ip", "dhcpv6.dns_server"
    )
    made = [dhcpv6.decode(payload) for payload in MESSAGES]
    assert [str(dhcpv6.TYPES.index(m.type)) for m in made] == [row[0] for row in rows if row[0]]
    for ours, (_, duids, addresses, resolvers) in zip(made, [row for row in rows if row[0]], strict=True):
        assert sorted(filter(None, (ours.client, ours.server))) == sorted(filter(None, duids.split(",")))
        assert (",".join(ours.addresses), ",".join(ours.resolvers)) == (addresses, resolvers)
