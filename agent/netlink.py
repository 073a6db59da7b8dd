"""Ask the kernel for its links, addresses, routes and neighbours: rtnetlink dumps over a raw netlink socket."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from agent.decoders import rtnetlink
from telemetry.errors import Transient

NETLINK_ROUTE = 0
SOL_NETLINK, GET_STRICT_CHECK = 270, 12
REQUEST_DUMP = 0x301
RECEIVE = 65_536
TIMEOUT_S = 10.0


def dump(kind: int, family: int = 0) -> Iterator[rtnetlink.Message]:
    """Every message of one GET_* dump; routes of the main table only. Raises Transient where the kernel will not.

    A dump that the kernel marks as interrupted by a change is given all the same: the next round sees the rest.
    """
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE) as channel:
            channel.settimeout(TIMEOUT_S)
            channel.bind((0, 0))
            _strict(channel)
            body = _request(kind, family)
            channel.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST_DUMP, 1, 0) + body)
            while True:
                for message in rtnetlink.messages(channel.recv(RECEIVE)):
                    if message.type == rtnetlink.DONE:
                        return
                    if message.type == rtnetlink.ERROR:
                        code = rtnetlink.error(message)
                        raise Transient(f"netlink: {os.strerror(code)}")
                    yield message
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            raise Transient("netlink: this system has none") from error
        raise Transient(f"netlink: {error.strerror or error}") from error


def _strict(channel: socket.socket) -> None:
    """Let the kernel filter by table (since 4.20); before, everything comes and the caller filters."""
    try:
        channel.setsockopt(SOL_NETLINK, GET_STRICT_CHECK, 1)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise


def _request(kind: int, family: int) -> bytes:
    if kind == rtnetlink.GET_LINK:
        return struct.pack("=BxHiII", family, 0, 0, 0, 0)
    if kind == rtnetlink.GET_ADDRESS:
        return struct.pack("=BBBBI", family, 0, 0, 0, 0)
    if kind == rtnetlink.GET_ROUTE:
        return struct.pack("=BBBBBBBBI", family, 0, 0, 0, rtnetlink.TABLE_MAIN, 0, 0, 0, 0)
    return struct.pack("=BxxxiHBB", family, 0, 0, 0, 0)
