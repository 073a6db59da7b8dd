"""Classic BPF: a tiny assembler, and the two kernel filters of the packet inputs. Pure.

A program is a list of ``Step`` and of label names; ``assemble`` turns labels into the forward offsets of
``struct sock_filter`` (linux/filter.h: u16 code, u8 jt, u8 jf, u32 k). The kernel's ancillary loads (interface, packet
type, random number) are ordinary word loads at SKF_AD_OFF.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import msgspec

RET, LD_W, LD_H, LD_B = 0x06, 0x20, 0x28, 0x30
LD_B_INDEXED = 0x50
ADD, LSH, MOD = 0x04, 0x64, 0x94
TAX = 0x07
JA, JEQ, JSET = 0x05, 0x15, 0x45

AD_OFF = 0xFFFFF000
AD_PACKET_TYPE, AD_INTERFACE, AD_HARDWARE, AD_RANDOM = AD_OFF + 4, AD_OFF + 8, AD_OFF + 28, AD_OFF + 56

MAX_STEPS = 4096
"""BPF_MAXINSNS: the kernel refuses longer programs."""
ETHERNET, LOOPBACK = 1, 772
"""ARPHRD_ETHER and ARPHRD_LOOPBACK: frames with an Ethernet header."""
CHAIN = (0, 43, 44, 60, 135, 139, 140)
"""Next headers behind which more headers come."""
PACKET_OUTGOING = 4

_STEP = struct.Struct("=HBBI")


class Step(msgspec.Struct, frozen=True):
    """One instruction. ``yes`` and ``no`` name labels further down; an empty name is the next instruction."""

    code: int
    k: int = 0
    yes: str = ""
    no: str = ""


def assemble(program: Sequence[Step | str]) -> bytes:
    """The ``struct sock_filter`` array. Raises ValueError for an unknown label or a jump that is too far."""
    where: dict[str, int] = {}
    steps: list[Step] = []
    for item in program:
        if isinstance(item, str):
            where[item] = len(steps)
        else:
            steps.append(item)
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{len(steps)} instructions, the kernel takes {MAX_STEPS}")

    def offset(label: str, at: int, most: int) -> int:
        if not label:
            return 0
        if label not in where:
            raise ValueError(f"no label {label!r}")
        distance = where[label] - at - 1
        if not 0 <= distance <= most:
            raise ValueError(f"label {label!r} is {distance} instructions away")
        return distance

    out = bytearray()
    for at, step in enumerate(steps):
        if step.code == JA:
            out += _STEP.pack(JA, 0, 0, offset(step.yes, at, MAX_STEPS))
        else:
            out += _STEP.pack(step.code, offset(step.yes, at, 255), offset(step.no, at, 255), step.k & 0xFFFFFFFF)
    return bytes(out)


def only(interfaces: Iterable[int]) -> list[Step | str]:
    """A beginning that drops what is on no listed interface (ifindex). The list is bounded by MAX_STEPS."""
    program: list[Step | str] = [Step(LD_W, AD_INTERFACE)]
    for index in interfaces:
        # JA reaches further than the 255 instructions of a conditional jump
        program += [Step(JEQ, index, no=f"not{index}"), Step(JA, yes="listed"), f"not{index}"]
    return [*program, Step(RET, 0), "listed"]


def without(interfaces: Iterable[int]) -> list[Step | str]:
    """A beginning that drops what is on a listed interface (ifindex)."""
    program: list[Step | str] = [Step(LD_W, AD_INTERFACE)]
    for index in interfaces:
        program += [Step(JEQ, index, no=f"past{index}"), Step(RET, 0), f"past{index}"]
    return program


def incoming_only(interface: int) -> list[Step | str]:
    """A part that drops what leaves on this interface: on loopback each packet passes once out and once in."""
    return [
        Step(LD_W, AD_INTERFACE),
        Step(JEQ, interface, no="any_way"),
        Step(LD_W, AD_PACKET_TYPE),
        Step(JEQ, PACKET_OUTGOING, no="any_way"),
        Step(RET, 0),
        "any_way",
    ]


def sample(rate: int, snap: int) -> list[Step | str]:
    """An end that takes one packet in ``rate`` at random, each for itself, cut to ``snap`` bytes."""
    if rate == 1:
        return [Step(RET, snap)]
    return [Step(LD_W, AD_RANDOM), Step(MOD, rate), Step(JEQ, 0, no="drop"), Step(RET, snap), "drop", Step(RET, 0)]


def ethernet_only() -> list[Step | str]:
    """A part that drops what has no Ethernet header (tunnels)."""
    return [Step(LD_H, AD_HARDWARE), Step(JEQ, ETHERNET, yes="ethernet"), Step(RET, 0), "ethernet"]


def neighbor_discovery(types: Sequence[int], snap: int, hidden: bool) -> list[Step | str]:
    """An end that takes these ICMPv6 types on Ethernet, untagged or behind one tag in the frame.

    The outermost VLAN tag is not in the frame: the kernel has moved it aside. A type behind one hop-by-hop, routing or
    destination header is looked up here. With ``hidden`` also what may hide a type is taken: fragments of ICMPv6 or of
    a chain, and longer chains; ``agent/decoders/ndp.py`` judges them.
    """
    return [
        Step(LD_H, 12),
        Step(JEQ, 0x86DD, yes="plain"),
        Step(JEQ, 0x8100, yes="tagged"),
        Step(JEQ, 0x88A8, yes="tagged"),
        Step(RET, 0),
        "tagged",
        Step(LD_H, 16),
        Step(JEQ, 0x86DD, yes="inner"),
        Step(RET, 0),
        *_ipv6("plain", 14, types, snap, hidden),
        *_ipv6("inner", 18, types, snap, hidden),
    ]


def _ipv6(label: str, at: int, types: Sequence[int], snap: int, hidden: bool) -> list[Step | str]:
    body, take, drop = at + 40, f"{label}_take", f"{label}_drop"
    wanted = [*(Step(JEQ, number, yes=take) for number in types), Step(RET, 0)]
    chained = [Step(JEQ, number, yes=take) for number in CHAIN] if hidden else []
    fragment = [Step(JEQ, 44, yes=f"{label}_fragment")] if hidden else []
    return [
        label,
        Step(LD_B, at + 6),
        Step(JEQ, 58, yes=f"{label}_icmp"),
        *fragment,
        *[Step(JEQ, number, yes=f"{label}_options") for number in CHAIN if number != 44],
        Step(RET, 0),
        f"{label}_icmp",
        Step(LD_B, body),
        *wanted,
        f"{label}_options",
        Step(LD_B, body + 1),
        Step(ADD, 1),
        Step(LSH, 3),
        Step(TAX),
        Step(LD_B, body),
        *chained,
        Step(JEQ, 58, no=drop),
        Step(LD_B_INDEXED, body),
        *wanted,
        f"{label}_fragment",
        Step(LD_B, body),
        *chained,
        Step(JEQ, 58, yes=take, no=drop),
        take,
        Step(RET, snap),
        drop,
        Step(RET, 0),
    ]
