from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q
from scapy.utils import PcapWriter

from agent.decoders.columns import decode
from agent.decoders.columns_network import KEY
from agent.decoders.flow_table import SECOND, FlowTable, Records
from agent.decoders.ipfix_writer import FIELDS, ROOM, IpfixWriter
from tests.agent.decoders.batches import batch, ether, text
from tests.agent.inputs.pair import program

START = 1_790_000_000
FOUR_SIZE, SIX_SIZE = (sum(np.dtype(form).itemsize for *_, form in FIELDS[version, False]) for version in (4, 6))
FOUR, SIX = IP(src="192.0.2.1", dst="192.0.2.2", tos=184), IPv6(src="2001:db8::1", dst="2001:db8::2", tc=40, fl=0x12345)


def frames(count: int = 60) -> list[bytes]:
    made = [
        bytes(ether() / packet)
        for packet in (
            FOUR / TCP(sport=40000, dport=443, flags="S"),
            FOUR / TCP(sport=40000, dport=443, flags="PA") / (b"x" * 100),
            Dot1Q(vlan=30) / FOUR / UDP(sport=5, dport=53),
            FOUR / ICMP(type=3, code=1),
            SIX / TCP(sport=40000, dport=443, flags="R"),
            Dot1Q(vlan=31) / SIX / UDP(sport=5, dport=53),
            SIX / ICMPv6EchoRequest(),
        )
    ]
    for number in range(count):
        made.append(bytes(ether() / SIX / UDP(sport=1000 + number, dport=53) / bytes(number)))
        made.append(bytes(ether() / FOUR / UDP(sport=1000 + number, dport=53) / bytes(number)))
    return made


def records(biflow: bool = False, back: bool = False, most: int = 1000) -> Records:
    table = FlowTable(most, 60, 15, seed=1, biflow=biflow)
    sent = frames()
    if back:
        sent += [bytes(ether() / IP(src="192.0.2.2", dst="192.0.2.1") / TCP(sport=443, dport=40000, flags="SA"))] * 3
    made = batch(sent, times_ns=[START * SECOND + number * 1_000_000 for number in range(len(sent))])
    table.add(decode(made), made.times_ns, 3)
    (given,) = table.flush()
    return given


def send(folder: Path, messages: list[bytes | memoryview]) -> list[dict[str, object]]:
    """What nfcapd made of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.bind(("127.0.0.1", 0))
        port = out.getsockname()[1]
    command = [program("nfcapd"), "-w", str(folder), "-p", str(port), "-b", "127.0.0.1", "-t", "3600"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    while "Startup nfcapd" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", port))
        for message in messages:
            out.send(message)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert "Sequence Errors: 0, Bad Packets: 0" in said, said
    done = subprocess.run(
        [program("nfdump"), "-R", str(folder), "-q", "-o", "json"], capture_output=True, text=True, check=True
    )
    found: list[dict[str, object]] = json.loads(f"[{done.stdout}]")
    return found


@pytest.mark.needs("nfdump")
def test_nfcapd_reads_what_was_counted(tmp_path: Path) -> None:
    given = records()
    writer = IpfixWriter(domain=7)
    found = send(tmp_path, [writer.templates(START), *writer.messages(given, START + 1)])
    expected = set()
    for at, key in enumerate(given.keys.view(KEY)[:, 0]):
        version, protocol = int(key["version"]), int(key["protocol"])
        flags = "".join(
            letter if int(given.side.flags[at]) >> bit & 1 else "." for bit, letter in enumerate("FSRPAUEC")
        )[::-1]
        source = text(key["source"].tobytes(), version)
        expected.add(
            (source, text(key["destination"].tobytes(), version), protocol, int(key["source_port"]),
             int(key["destination_port"]) if protocol not in (1, 58) else -1, int(given.side.packets[at]),
             int(given.side.bytes[at]), flags, 184 if version == 4 else 40, int(key["vlan"]), 3,
             (START * 1000 + int(given.side.first_ns[at]) // 1_000_000 - START * 1000) % 1000)
        )  # fmt: skip
    seen = set()
    for row in found:
        kind = row["proto"]
        start = str(row["first"])
        seen.add(
            (row.get("src4_addr") or row.get("src6_addr"), row.get("dst4_addr") or row.get("dst6_addr"), kind,
             row.get("src_port", 0), row["dst_port"] if kind not in (1, 58) else -1, row["in_packets"],
             row["in_bytes"], row.get("tcp_flags", "........"), row["src_tos"], row["src_vlan"],
             row["input_snmp"], int(start[-3:]))
        )  # fmt: skip
    assert seen == expected
    assert len(found) == len(given)
    assert {(row["icmp_type"], row["icmp_code"]) for row in found if row["proto"] in (1, 58)} == {(3, 1), (128, 0)}


@pytest.mark.needs("nfdump")
def test_nfcapd_reads_both_directions_of_a_record(tmp_path: Path) -> None:
    given = records(biflow=True, back=True)
    writer = IpfixWriter()
    found = send(tmp_path, [writer.templates(START), *writer.messages(given, START + 1)])
    (both,) = [row for row in found if row.get("out_packets")]
    assert (both["src4_addr"], both["in_packets"], both["out_packets"], both["out_bytes"]) == ("192.0.2.1", 2, 3, 120)
    assert len(found) == len(given)


@pytest.mark.needs("tshark")
@pytest.mark.parametrize("biflow", [False, True])
def test_tshark_reads_every_message_without_complaint(tmp_path: Path, biflow: bool) -> None:
    given = records(biflow, back=True)
    writer = IpfixWriter(domain=9, sampling_rate=100)
    messages = [writer.templates(START), *map(bytes, writer.messages(given, START + 1))]
    with PcapWriter(str(tmp_path / "out.pcap"), linktype=101) as out:
        for message in messages:
            out.write(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=9, dport=4739) / message)
    names = ["cflow.packets", "cflow.octets", "cflow.sampling_size", "cflow.sampling_population",
             "_ws.malformed", "_ws.expert.message", "cflow.sequence", "cflow.od_id"]  # fmt: skip
    options = [word for name in names for word in ("-e", name)]
    command = [program("tshark"), "-r", str(tmp_path / "out.pcap"), "-d", "udp.port==4739,cflow", "-T", "fields",
               "-E", "separator=|", "-o", "udp.check_checksum:FALSE", *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line.split("|") for line in done.stdout.splitlines()]
    assert len(rows) == len(messages)
    assert [row[4] for row in rows] == [""] * len(rows)
    assert rows[0][2:4] == ["1", "100"]
    packets = sum(int(value) for row in rows for value in row[0].split(",") if value)
    back = int(given.back.packets.sum()) if given.back is not None else 0
    assert packets == int(given.side.packets.sum()) + back
    assert {word for row in rows for word in row[7].split(",")} == {"9"}


def test_messages_are_whole_and_numbered_on() -> None:
    given = records()
    writer = IpfixWriter()
    assert struct.unpack_from("!I", writer.templates(START), 8) == (0,)
    # the options record was the first
    following = 1
    total = 0
    several = [*writer.messages(given, START + 1), *writer.messages(given, START + 2)]
    for message in map(bytes, several):
        version, length, _, sequence, _ = struct.unpack_from("!HHIII", message)
        assert (version, length) == (10, len(message))
        assert length <= ROOM
        assert sequence == following
        at, count = 16, 0
        while at < length:
            identifier, size = struct.unpack_from("!HH", message, at)
            if identifier == 256:
                count += (size - 4) // FOUR_SIZE
            elif identifier == 257:
                count += (size - 4) // SIX_SIZE
            at += size
        assert at == length
        following += count
        total += count
    assert total == 2 * len(given)


def test_a_rest_record_has_no_addresses() -> None:
    given = records(most=2)
    assert given.rests
    body = b"".join(bytes(message) for message in IpfixWriter().messages(given, START))
    assert bytes(16) + bytes(16) + bytes(4) + b"\x11" in body
    assert np.count_nonzero(given.side.packets) == len(given)
