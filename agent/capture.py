"""Packets off the wire: an AF_PACKET socket with a TPACKET_V3 ring and a kernel filter.

The kernel writes packets into blocks that are shared with this process, and hands over a block when it is full or
``RETIRE_MS`` old; so there is no system call a packet, and what is not read in time is dropped and counted by the
kernel. The filter is attached before the ring: what came in unfiltered since the socket was made went to its plain
queue, which the kernel empties when it sets up a ring (packet_set_ring). So no packet that the filter would refuse is
seen. Layouts: linux/if_packet.h, Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

import array
import asyncio
import mmap
import os
import shlex
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from agent.input import Blind
from telemetry.errors import Transient

ETH_P_ALL = 3
SOL_PACKET, SO_ATTACH_FILTER = 263, 26
ADD_MEMBERSHIP, RX_RING, STATISTICS, VERSION, OFFLOAD_HEADER = 1, 5, 6, 10, 15
PROMISCUOUS, ALL_MULTICAST = 1, 2
TPACKET_V3 = 2
BLOCK = 65_536
"""One block; a packet must fit in it, and a snap length may be up to half of it."""
FRAME = 2048
RETIRE_MS = 60
USER = 1
VLAN_VALID = 0x10
OUTGOING = socket.PACKET_OUTGOING
COMMAND_VARIABLE = "TENGWANG_COMMAND"
"""The command a person typed, where that is not this process's own."""

_BLOCK_HEAD = struct.Struct("=IIIIII")
_PACKET = struct.Struct("=6I2H4xI12x2xHiHB")
"""struct tpacket3_hdr with what is not used left out, then struct sockaddr_ll from its protocol to its packet type."""
_OFFLOAD = struct.Struct("=4xHH2x")
"""struct virtio_net_hdr: flags, type (8 bits each), header length, then segment size, start of checksum, its offset."""
_STATUS = struct.Struct("=I")


class Captured(NamedTuple):
    """One packet. ``protocol`` is the ethertype in network byte order; ``network`` is where its header is in ``frame``.

    A tuple and not a struct: it is unpacked at once.
    """

    time_ns: int
    length: int
    interface: int
    packet_type: int
    hardware: int
    protocol: int
    vlan: int
    frame: bytes
    network: int
    segment: int
    """Payload bytes of each packet on the wire, where the kernel or the card joins or cuts them (GSO); else 0."""
    transport: int
    """Where the transport header is in ``frame``; only with ``segment``."""


class Capture:
    """An open ring. ``fileno`` is readable when a block is ready."""

    def __init__(self, program: bytes, ring: int, retire_ms: int = RETIRE_MS) -> None:
        """``program`` is a classic BPF filter, ``ring`` its size in bytes (whole blocks).

        Raises Blind without CAP_NET_RAW or without packet sockets, Transient where the ring can not be had.
        """
        self._socket = _open(ETH_P_ALL)
        self._blocks = max(ring // BLOCK, 2)
        self._next = 0
        self._joined: set[int] = set()
        try:
            self.filter(program)
            self._socket.setsockopt(SOL_PACKET, VERSION, TPACKET_V3)
            self._offload = self._with_offload_header()
            frames = self._blocks * (BLOCK // FRAME)
            request = struct.pack("=7I", BLOCK, self._blocks, FRAME, frames, retire_ms, 0, 0)
            self._socket.setsockopt(SOL_PACKET, RX_RING, request)
            self._ring = mmap.mmap(self._socket.fileno(), self._blocks * BLOCK)
            self.lost()
        except OSError as error:
            self._socket.close()
            raise Transient(f"packet ring: {error.strerror or error}") from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def join(self, kind: int, interfaces: Iterable[int]) -> None:
        """Have these interfaces hand up more frames while this ring is open: PROMISCUOUS or ALL_MULTICAST.

        May be called again with more; an interface that is gone is passed over.
        """
        for index in set(interfaces) - self._joined:
            try:
                self._socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP, struct.pack("=iHH8s", index, kind, 0, b""))
            except OSError:
                continue
            self._joined.add(index)

    def filter(self, program: bytes) -> None:
        """Put this filter in place of the present one, at once and without a gap."""
        held = array.array("B", program)
        address, size = held.buffer_info()
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", size // 8, address))

    def _with_offload_header(self) -> bool:
        """Ask for struct virtio_net_hdr before each packet; an old kernel refuses it with a ring."""
        try:
            self._socket.setsockopt(SOL_PACKET, OFFLOAD_HEADER, 1)
        except OSError:
            return False
        return True

    def block(self) -> Iterator[Captured]:
        """The packets of the next ready block, given back to the kernel afterwards; nothing where none is ready."""
        block = self._next * BLOCK
        _, _, status, count, first, _ = _BLOCK_HEAD.unpack_from(self._ring, block)
        if not status & USER:
            return
        ring, unpack, at = self._ring, _PACKET.unpack_from, block + first
        try:
            for _ in range(count):
                (step, seconds, nanoseconds, snapped, length, flags, mac, network, tci, protocol, index, hardware,
                 kind) = unpack(ring, at)  # fmt: skip
                start = at + mac
                segment = transport = 0
                if self._offload and ring[start - 9]:
                    segment, transport = _OFFLOAD.unpack_from(ring, start - _OFFLOAD.size)
                frame = ring[start : start + snapped]
                vlan = tci & 0x0FFF if flags & VLAN_VALID else 0
                yield Captured(
                    seconds * 1_000_000_000 + nanoseconds, length, index, kind, hardware, protocol, vlan, frame,
                    network - mac, segment, transport,
                )  # fmt: skip
                at += step
        finally:
            _STATUS.pack_into(ring, block + 8, 0)
            self._next = (self._next + 1) % self._blocks

    def ready(self) -> bool:
        """Is a block waiting?"""
        return bool(_STATUS.unpack_from(self._ring, self._next * BLOCK + 8)[0] & USER)

    def lost(self) -> int:
        """Packets that the filter took and the ring had no room for, since the last call."""
        _, drops, _ = struct.unpack("=III", self._socket.getsockopt(SOL_PACKET, STATISTICS, 12))
        return int(drops)

    def close(self) -> None:
        self._ring.close()
        self._socket.close()


class Reader:
    """Reads a ring from the event loop, a block a turn so that nothing else waits long, and at most so many packets
    until the next ``resume``: what is more stays in the ring, and the kernel drops and counts what finds no room.
    """

    def __init__(self, ring: Capture, take: Callable[[Captured], None], most: int) -> None:
        self._ring = ring
        self._take = take
        self._most = most
        self._left = 0
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def resume(self) -> None:
        """Read on with a new allowance; called once a tick from the running loop.

        Raises what ``take`` raised since: the event loop would only log it, and the input would seem to work.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._left = self._most
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._ring.fileno(), self._guarded_turn)

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._ring.fileno())
            self._loop = None

    def drain(self) -> None:
        """Everything that is ready now."""
        while self._ring.ready():
            self._turn()

    def _guarded_turn(self) -> None:
        try:
            self._turn()
        except Exception as error:  # noqa: BLE001 - raised by resume
            self._failure = error
            self.stop()

    def _turn(self) -> None:
        for captured in self._ring.block():
            self._left -= 1
            self._take(captured)
        if self._left <= 0:
            self.stop()


def require() -> None:
    """Raises Blind where packets can not be captured here."""
    _open().close()


def advice(command: Sequence[str] | None = None) -> str:
    """The shell command that starts this program with the one capability it needs, and as the same user."""
    typed = os.environ.get(COMMAND_VARIABLE) or shlex.join(command or sys.orig_argv)
    user = f"--reuid={os.getuid()} --regid={os.getgid()} --init-groups"
    return f"sudo setpriv {user} --inh-caps=+net_raw --ambient-caps=+net_raw -- {typed}"


def _open(protocol: int = 0) -> socket.socket:
    """A packet socket of an ethertype, on every interface; 0 receives nothing."""
    form = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        return socket.socket(socket.AF_PACKET, form, socket.htons(protocol))
    except PermissionError as error:
        raise Blind("no CAP_NET_RAW: packets can not be captured", advice()) from error
    except OSError as error:
        why = f"no packet sockets here: {error.strerror or error}"
        raise Blind(why, "sudo modprobe af_packet") from error
