"""DHCP for IPv4 (RFC 2131, options RFC 2132): a UDP payload to the message. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agent.decoders import addresses
from telemetry.errors import Permanent

COOKIE = b"\x63\x82\x53\x63"
REQUEST, REPLY = 1, 2
TYPES = ("", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform", "forcerenew", "leasequery",
         "leaseunassigned", "leaseunknown", "leaseactive")  # fmt: skip
PAD, ROUTERS, RESOLVERS, HOST_NAME, REQUESTED, OVERLOAD, TYPE, SERVER, END = 0, 3, 6, 12, 50, 52, 53, 54, 255
MAX_OPTIONS, MAX_ADDRESSES, MAX_NAME = 256, 16, 64


class Message(msgspec.Struct, frozen=True):
    """``address`` is the one that is given (or asked for); empty texts are what was not said."""

    type: str
    from_server: bool
    client: str
    address: str
    server: str
    name: str
    routers: tuple[str, ...]
    resolvers: tuple[str, ...]
    relayed: bool


def decode(payload: bytes) -> Message:
    """Raises Permanent where it is no DHCP or malformed; plain BOOTP without a message type is refused too."""
    if len(payload) < 240 or payload[236:240] != COOKIE or payload[0] not in (REQUEST, REPLY):
        raise Permanent("not_dhcp", f"{len(payload)} bytes")
    found = dict(_options(payload[240:]))
    # the fields for a boot server's name and file may hold more options (RFC 2132 9.3)
    overload = found.get(OVERLOAD, b"\0")[:1]
    for bit, start, end in ((1, 108, 236), (2, 44, 108)):
        if overload and overload[0] & bit:
            found = {**dict(_options(payload[start:end])), **found}
    number = found.get(TYPE, b"\0")
    if len(number) != 1 or not 0 < number[0] < len(TYPES):
        raise Permanent("not_dhcp", f"message type {number.hex()}")
    asked = found.get(REQUESTED, b"")
    given = payload[16:20] if any(payload[16:20]) else payload[12:16] if any(payload[12:16]) else asked
    length = min(payload[2], 16)
    return Message(
        TYPES[number[0]], payload[0] == REPLY, addresses.mac(payload[28 : 28 + length]),
        addresses.text(given) if len(given) == 4 else "", next(iter(_addresses(found.get(SERVER, b""))), ""),
        name(found.get(HOST_NAME, b"")), tuple(_addresses(found.get(ROUTERS, b""))),
        tuple(_addresses(found.get(RESOLVERS, b""))), any(payload[24:28]),
    )  # fmt: skip


def name(raw: bytes) -> str:
    """What a client calls itself, cut to MAX_NAME; what can not be printed becomes a question mark."""
    text = raw.rstrip(b"\0").decode("utf-8", "replace")[:MAX_NAME]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = count = 0
    while at < len(data) and data[at] != END:
        if data[at] == PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise Permanent("bad_option", f"option {data[at]} past the end of the message")
        count += 1
        if count > MAX_OPTIONS:
            raise Permanent("bad_option", f"more than {MAX_OPTIONS} options")
        yield data[at], data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]


def _addresses(data: bytes) -> Iterator[str]:
    for at in range(0, min(len(data) // 4, MAX_ADDRESSES) * 4, 4):
        yield addresses.text(data[at : at + 4])
