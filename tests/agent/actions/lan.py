"""A bridge with two hosts on it, and a router behind: namespaces in which rules are really set and packets really go.

intruder --- switch (bridge lan) --- victim        intruder's default route goes over router to beyond
                  |
                router --- beyond
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.fence import Fence
from agent.nft import Nft
from agent.stand import Stand
from telemetry.order import Action, Order

_NUMBERS = itertools.count()
HOSTS = ("intruder", "victim", "router")
MAC = {"intruder": "02:00:00:00:00:66", "victim": "02:00:00:00:00:02", "router": "02:00:00:00:00:01"}
NUMBER = {"intruder": "66", "victim": "2", "router": "1", "beyond": "9"}
BEYOND = "2001:db8:9::9"
ROGUE_PREFIX = "2001:db8:bad::/64"
SWITCH = Stand(bridges={"lan": tuple(f"p-{host}" for host in HOSTS)})
ROUTER = Stand(cards=("eth0", "out"), router=True)
HOST = Stand(cards=("eth0",))
ADVERTISE = """
import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
index = socket.if_nametoindex("eth0")
prefix = socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
option = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + prefix
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option, ("ff02::1", 0, 0, index))
"""


class Lan:
    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def space(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def run(self, host: str, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["ip", "netns", "exec", self.space(host), *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, input=text, timeout=30)

    def ip(self, host: str, *lines: str) -> None:
        for line in lines:
            subprocess.run(["ip", "-n", self.space(host), *line.split()], check=True, capture_output=True)

    def nft(self, host: str) -> Nft:
        def run(words: Sequence[str], text: str) -> tuple[int, str, str]:
            done = self.run(host, "nft", *words, text=text)
            return done.returncode, done.stdout, done.stderr

        return Nft(run)

    def fence(self, host: str, stand: Stand) -> Fence:
        return Fence(self.nft(host), lambda: stand, now_ms)

    def reaches(self, host: str, address: str) -> bool:
        """Does one of three pings come back within a second?"""
        return self.run(host, "ping", "-c3", "-i0.1", "-W1", address).returncode == 0

    def advertise(self, host: str = "intruder") -> None:
        done = self.run(host, sys.executable, "-c", ADVERTISE)
        assert done.returncode == 0, done.stderr

    def rogue_addresses(self, host: str = "victim") -> list[str]:
        listed = self.run(host, "ip", "-6", "-o", "addr", "show", "dev", "eth0").stdout
        return [line for line in listed.splitlines() if "2001:db8:bad:" in line]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def order(action: Action, seconds: float = 60, **changes: object) -> Order:
    now = now_ms()
    made: dict[str, object] = {
        "id": f"{next(_NUMBERS):020x}",
        "agent": "a1",
        "action": action,
        "issued_ms": now,
        "not_after_ms": now + 60_000,
        "until_ms": now + round(seconds * 1000),
        "serial": 1,
    }
    return Order(**(made | changes))  # type: ignore[arg-type]


def address(host: str, version: int = 6) -> str:
    return f"2001:db8::{NUMBER[host]}" if version == 6 else f"192.0.2.{NUMBER[host]}"


@contextmanager
def lan() -> Iterator[Lan]:
    made = Lan(f"twc-{os.getpid()}-{next(_NUMBERS)}")
    spaces = ("switch", "beyond", *HOSTS)
    try:
        for host in spaces:
            subprocess.run(["ip", "netns", "add", made.space(host)], check=True)
            made.run(host, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        made.ip("switch", "link add lan type bridge mcast_snooping 0", "link set lan up")
        for host in HOSTS:
            made.ip(
                "switch", f"link add p-{host} type veth peer name eth0 netns {made.space(host)} address {MAC[host]}"
            )
            made.ip("switch", f"link set p-{host} master lan up")
            made.ip(host, "link set lo up", "link set eth0 up")
            made.ip(host, f"addr add {address(host)}/64 dev eth0 nodad", f"addr add {address(host, 4)}/24 dev eth0")
        made.ip("router", f"link add out type veth peer name in netns {made.space('beyond')}", "link set out up")
        made.ip("router", "addr add 2001:db8:9::1/64 dev out nodad", "addr add 198.51.100.1/24 dev out")
        made.run("router", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1")
        made.ip("beyond", "link set in up", f"addr add {BEYOND}/64 dev in nodad", "route add default via 2001:db8:9::1")
        made.ip("intruder", f"route add default via {address('router')}")
        deadline = time.monotonic() + 5
        while not made.reaches("intruder", address("victim")) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield made
    finally:
        for host in spaces:
            subprocess.run(["ip", "netns", "del", made.space(host)], check=False, capture_output=True)
