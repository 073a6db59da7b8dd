"""The kernel filters of the inputs that listen to a segment, as ends for ``agent/decoders/bpf.py``. Pure.

Each looks at the ethertype, untagged or behind one tag in the frame (the outermost the kernel has moved aside), and
goes on behind IPv4's options or behind one extension header of IPv6. Of fragments only the first is looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agent.decoders.bpf import ADD, CHAIN, JEQ, JSET, LD_B, LD_B_INDEXED, LD_H, LD_W, LSH, RET, TAX, Step

Program = list[Step | str]
Branch = Callable[[str, int], Program]
"""Instructions that end in RET, for a header that begins at this offset; the text makes its labels unique."""
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
LD_H_INDEXED, LDX_IP_LENGTH, AND = 0x48, 0xB1, 0x54
TCP, UDP, ICMP, ICMPV6, IPV6_IN_IPV4 = 6, 17, 1, 58, 41
SYN, RST, ACK = 0x02, 0x04, 0x10
DHCP_PORTS, DHCPV6_PORTS = (67, 68), (546, 547)
DNS_PORTS, TEREDO_PORTS = (53,), (3544,)


def arp(snap: int) -> Program:
    return _frames({ARP: lambda _label, _at: [Step(RET, snap)]})


def dhcp(snap: int) -> Program:
    """DHCP and DHCPv6, both ways."""
    return _frames({IPV4: _udp4(DHCP_PORTS, snap), IPV6: _udp6(DHCPV6_PORTS, snap)})


def dns(snap: int) -> Program:
    return _frames({IPV4: _udp4(DNS_PORTS, snap), IPV6: _udp6(DNS_PORTS, snap)})


def presence(snap: int) -> Program:
    """What shows who is there: broadcasts, ARP, neighbour discovery, and requests for an address."""
    return [
        Step(LD_W, 0),
        Step(JEQ, 0xFFFFFFFF, no="single"),
        Step(LD_H, 4),
        Step(JEQ, 0xFFFF, no="single"),
        Step(RET, snap),
        "single",
        *_frames(
            {
                ARP: lambda _label, _at: [Step(RET, snap)],
                IPV4: _udp4((67,), snap),
                IPV6: _ipv6({UDP: _ports((547,)), ICMPV6: _icmp_types((133, 134, 135, 136))}, snap),
            }
        ),
    ]


def activity(snap: int) -> Program:
    """Beginnings and refusals: SYN without ACK, RST, echo requests, port unreachable, tunnels of IPv6 in IPv4."""
    return _frames(
        {
            IPV4: _ipv4(
                {TCP: _tcp, ICMP: _icmp(8, 3, 3), IPV6_IN_IPV4: _always, UDP: _ports(TEREDO_PORTS)}, snap
            ),
            IPV6: _ipv6({TCP: _tcp, ICMPV6: _icmp(128, 1, 4)}, snap),
        }
    )  # fmt: skip


Transport = Callable[[int, str, str], Program]
"""Jumps to the second label to take, to the third to drop; X holds the transport header less the offset given first."""


def _frames(branches: Mapping[int, Branch]) -> Program:
    plain = [Step(JEQ, kind, yes=f"plain{kind}") for kind in branches]
    inner = [Step(JEQ, kind, yes=f"inner{kind}") for kind in branches]
    made: Program = [Step(LD_H, 12), *plain, Step(JEQ, 0x8100, yes="tagged"), Step(JEQ, 0x88A8, yes="tagged")]
    made += [Step(RET, 0), "tagged", Step(LD_H, 16), *inner, Step(RET, 0)]
    for kind, branch in branches.items():
        made += [f"plain{kind}", *branch(f"plain{kind}", 14), f"inner{kind}", *branch(f"inner{kind}", 18)]
    return made


def _udp4(ports: Sequence[int], snap: int) -> Branch:
    return _ipv4({UDP: _ports(ports)}, snap)


def _udp6(ports: Sequence[int], snap: int) -> Branch:
    return _ipv6({UDP: _ports(ports)}, snap)


def _ipv4(transports: Mapping[int, Transport], snap: int) -> Branch:
    def branch(label: str, at: int) -> Program:
        take, drop = f"{label}take", f"{label}drop"
        made: Program = [Step(LD_H, at + 6), Step(JSET, 0x1FFF, yes=drop), Step(LDX_IP_LENGTH, at), Step(LD_B, at + 9)]
        made += [Step(JEQ, number, yes=f"{label}_{number}") for number in transports]
        made += [Step(RET, 0)]
        for number, transport in transports.items():
            made += [f"{label}_{number}", *transport(at, take, drop)]
        return [*made, take, Step(RET, snap), drop, Step(RET, 0)]

    return branch


def _ipv6(transports: Mapping[int, Transport], snap: int) -> Branch:
    def branch(label: str, at: int) -> Program:
        take, drop, after = f"{label}take", f"{label}drop", f"{label}after"
        body = at + 40
        # X is how long the one header is that may stand before the transport; without one it is 0
        made: Program = [Step(LD_B, at + 6)]
        made += [Step(JEQ, number, yes=f"{label}_{number}") for number in transports]
        made += [Step(JEQ, number, yes=after) for number in CHAIN if number != 44]
        made += [Step(RET, 0), after, Step(LD_B, body + 1), Step(ADD, 1), Step(LSH, 3), Step(TAX), Step(LD_B, body)]
        made += [Step(JEQ, number, yes=f"{label}_{number}") for number in transports]
        made += [Step(RET, 0)]
        for number, transport in transports.items():
            made += [f"{label}_{number}", *transport(body, take, drop)]
        return [*made, take, Step(RET, snap), drop, Step(RET, 0)]

    return branch


def _ports(ports: Sequence[int]) -> Transport:
    def transport(at: int, take: str, drop: str) -> Program:
        made: Program = [Step(LD_H_INDEXED, at), *(Step(JEQ, port, yes=take) for port in ports)]
        made += [Step(LD_H_INDEXED, at + 2), *(Step(JEQ, port, yes=take) for port in ports[:-1])]
        return [*made, Step(JEQ, ports[-1], yes=take, no=drop)]

    return transport


def _icmp_types(types: Sequence[int]) -> Transport:
    def transport(at: int, take: str, drop: str) -> Program:
        made: Program = [Step(LD_B_INDEXED, at), *(Step(JEQ, number, yes=take) for number in types[:-1])]
        return [*made, Step(JEQ, types[-1], yes=take, no=drop)]

    return transport


def _icmp(request: int, unreachable: int, port: int) -> Transport:
    """Echo requests, and unreachable with the code of a closed port."""

    def transport(at: int, take: str, drop: str) -> Program:
        return [
            Step(LD_H_INDEXED, at),
            Step(JEQ, request << 8, yes=take),
            Step(JEQ, unreachable << 8 | port, yes=take, no=drop),
        ]

    return transport


def _tcp(at: int, take: str, drop: str) -> Program:
    return [
        Step(LD_B_INDEXED, at + 13),
        Step(JSET, RST, yes=take),
        Step(AND, SYN | ACK),
        Step(JEQ, SYN, yes=take, no=drop),
    ]


def _always(_at: int, take: str, drop: str) -> Program:
    return [Step(JEQ, IPV6_IN_IPV4, yes=take, no=drop)]
