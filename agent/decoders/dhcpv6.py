"""DHCPv6 (RFC 8415): a UDP payload to the message, also out of what relays have wrapped around it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import msgspec

from agent.decoders import addresses, dhcp
from telemetry.errors import Permanent

TYPES = ("", "solicit", "advertise", "request", "confirm", "renew", "rebind", "reply", "release", "decline",
         "reconfigure", "information-request", "relay-forw", "relay-repl")  # fmt: skip
FROM_SERVER = frozenset({"advertise", "reply", "reconfigure"})
RELAYS = (12, 13)
CLIENT_ID, SERVER_ID, IA_NA, IA_TA, IA_ADDRESS, RELAYED, RESOLVERS, IA_PD, IA_PREFIX, NAME = (
    1,
    2,
    3,
    4,
    5,
    9,
    23,
    25,
    26,
    39,
)
MAX_OPTIONS, MAX_DEPTH, MAX_ADDRESSES, MAX_DUID = 256, 8, 16, 128


class Message(msgspec.Struct, frozen=True):
    """``addresses`` are those given or asked for, ``prefixes`` those delegated; ``server`` and ``client`` are DUIDs."""

    type: str
    from_server: bool
    client: str
    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]
    server: str
    name: str
    resolvers: tuple[str, ...]
    relayed: bool


def decode(payload: bytes) -> Message:
    """Raises Permanent where it is no DHCPv6 or malformed."""
    relayed = False
    for _ in range(MAX_DEPTH):
        if len(payload) < 4 or not 0 < payload[0] < len(TYPES):
            raise Permanent("not_dhcpv6", f"{len(payload)} bytes, type {payload[0] if payload else 0}")
        if payload[0] not in RELAYS:
            return _message(payload, relayed)
        relayed = True
        payload = next((value for code, value in _options(payload[34:]) if code == RELAYED), b"")
    raise Permanent("long_chain", f"more than {MAX_DEPTH} relays")


def duid_mac(duid: str) -> str:
    """The Ethernet address that a DUID was made of (RFC 8415 11.2, 11.4); empty where it was made otherwise."""
    for kind, at in (("00010001", 16), ("00030001", 8)):
        if duid.startswith(kind) and len(duid) == at + 12:
            return addresses.mac(bytes.fromhex(duid[at:]))
    return ""


def _message(payload: bytes, relayed: bool) -> Message:
    client = server = name = ""
    given: list[str] = []
    delegated: list[str] = []
    resolvers: list[str] = []
    for code, value in _options(payload[4:]):
        if code == CLIENT_ID:
            client = value[:MAX_DUID].hex()
        elif code == SERVER_ID:
            server = value[:MAX_DUID].hex()
        elif code == NAME:
            name = _labels(value[1:])
        elif code == RESOLVERS:
            resolvers += [addresses.text(value[at : at + 16]) for at in range(0, len(value) // 16 * 16, 16)]
        elif code in (IA_NA, IA_TA, IA_PD):
            for inner, data in _options(value[4 if code == IA_TA else 12 :]):
                if inner == IA_ADDRESS and len(data) >= 24:
                    given.append(addresses.text(data[:16]))
                elif inner == IA_PREFIX and len(data) >= 25 and data[8] <= 128:
                    delegated.append(str(ipaddress.ip_network((data[9:25], data[8]), strict=False)))
    kind = TYPES[payload[0]]
    return Message(
        kind, kind in FROM_SERVER, client, tuple(given[:MAX_ADDRESSES]), tuple(delegated[:MAX_ADDRESSES]), server, name,
        tuple(resolvers[:MAX_ADDRESSES]), relayed,
    )  # fmt: skip


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = count = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Permanent("bad_option", f"{len(data) - at} bytes where an option should be")
        code, length = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
        count += 1
        if at + 4 + length > len(data) or count > MAX_OPTIONS:
            raise Permanent("bad_option", f"option {code} of {length} bytes, the {count}th")
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length


def _labels(data: bytes) -> str:
    """A name in DNS form without compression (RFC 4704); what is no name is empty."""
    parts, at = [], 0
    while at < len(data) and data[at] and data[at] < 64:
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return dhcp.name(b".".join(parts))
