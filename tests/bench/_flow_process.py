"""Our side of the flow benchmarks as a process of its own: a pcap file in, IPFIX over UDP out.

``python -m tests.bench._flow_process FILE PORT``. Expiry goes by the capture's own times. One thread: numpy's linear
algebra is not used, and its pool of threads would cost as much as all other imports together.
"""

from __future__ import annotations

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import socket
from pathlib import Path

from agent.decoders.flow_meter import FlowMeter
from agent.decoders.flow_table import FlowTable
from agent.decoders.ipfix_writer import IpfixWriter
from agent.decoders.pcap_batches import batches_of

PIECE = 4 << 20
PACKETS = 16_384


def main(path: str, port: int) -> None:
    table = FlowTable(1_000_000, active_s=60, inactive_s=15, seed=int.from_bytes(os.urandom(8), "big"))
    writer, meter = IpfixWriter(), FlowMeter(table)
    records = 0
    with Path(path).open("rb") as file, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        pieces = iter(lambda: file.read(PIECE), b"")
        out.connect(("127.0.0.1", port))
        at_s = 0
        for some in meter.meter(batches_of(pieces, PACKETS)):
            now_s = int(some.side.last_ns.max()) // 1_000_000_000
            if now_s - at_s >= 60:
                at_s = now_s
                out.send(writer.templates(at_s))
            records += len(some)
            for message in writer.messages(some, now_s):
                out.send(message)
    print(f"{meter.packets} packets, {records} records, skipped {dict(meter.skipped)}, odd {dict(meter.odd)}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
