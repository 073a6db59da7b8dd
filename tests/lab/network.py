"""From a topology to network namespaces, and back to nothing.

Every host is a namespace ``PREFIX-NAME``; one more, ``PREFIX-switch``, holds a bridge for each segment. A link is cut
at its switch port, so the host sees its carrier go, as with a real cable. Run as a program it takes labs down:
``network.py PREFIX`` that one, without an argument those whose owner is dead.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.topology import Host, Topology

OWNERS = Path("/run/tengwang-lab")
NETNS_FILES = Path("/etc/netns")
SWITCH = "switch"


def up(prefix: str, topology: Topology, directory: Path) -> None:
    """Make all namespaces, cables, addresses and routes. Raises RuntimeError with what ``ip`` said."""
    OWNERS.mkdir(parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "started": _started(os.getpid()), "directory": str(directory)}
    (OWNERS / prefix).write_text(json.dumps(owner))
    switch = f"{prefix}-{SWITCH}"
    _ip([], [f"netns add {prefix}-{name}" for name in (SWITCH, *topology.names)])
    _sysctl(switch, {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1})
    for host in topology.hosts:
        _files(prefix, host)
        _sysctl(f"{prefix}-{host.name}", dict(_settings(host)))
    _ip(["-n", switch], [f"link add {s} type bridge mcast_snooping 0" for s in topology.segments()])
    _ip([], [_cable(prefix, host, port.segment) for host in topology.hosts for port in host.ports])
    _ip(["-n", switch], _switching(topology))
    for host in topology.hosts:
        _ip(["-n", f"{prefix}-{host.name}"], _addressing(host))


def down(prefix: str, seconds: float = 5.0) -> None:
    """Kill what runs in the lab's namespaces, delete them and all files. Never raises; may be called again."""
    spaces = namespaces(prefix)
    deadline = time.monotonic() + seconds
    while any(pids := [pid for space in spaces for pid in processes(space)]) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for space in spaces:
        subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
        shutil.rmtree(NETNS_FILES / space, ignore_errors=True)
    with contextlib.suppress(OSError):
        NETNS_FILES.rmdir()
    with contextlib.suppress(OSError, ValueError, KeyError):
        directory = json.loads((OWNERS / prefix).read_text())["directory"]
        for mount in _mounts_under(directory):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        (OWNERS / prefix).unlink()


def reap() -> list[str]:
    """Take down every lab whose owner has died; returns their prefixes."""
    dead = []
    for file in OWNERS.glob("*"):
        try:
            owner = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        if _started(owner["pid"]) != owner["started"]:
            down(file.name)
            dead.append(file.name)
    return dead


def set_link(prefix: str, segment: str, host: str, there: bool) -> None:
    """Cut or restore the cable between a host and a segment."""
    _ip(["-n", f"{prefix}-{SWITCH}"], [f"link set {segment}.{host} {'up' if there else 'down'}"])


def namespaces(prefix: str) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], check=False, capture_output=True, text=True).stdout
    names = (line.split()[0] for line in listed.splitlines() if line)
    return [name for name in names if name.startswith(f"{prefix}-")]


def processes(space: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", space], check=False, capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def _settings(host: Host) -> Iterator[tuple[str, object]]:
    for scope in ("all", "default"):
        yield f"net.ipv6.conf.{scope}.disable_ipv6", 0
        yield f"net.ipv6.conf.{scope}.accept_dad", 0  # addresses can be used at once
        yield f"net.ipv6.conf.{scope}.forwarding", int(host.router)
        yield f"net.ipv6.conf.{scope}.accept_ra", int(host.autoconf and not host.router)
        yield f"net.ipv6.conf.{scope}.addr_gen_mode", 0  # EUI-64, so Host.link_local holds
    yield "net.ipv4.ip_forward", int(host.router)
    yield "net.ipv4.ping_group_range", "0 2147483647"


def _cable(prefix: str, host: Host, segment: str) -> str:
    port = f"{segment}.{host.name}"
    if len(port) > 15:
        raise ValueError(f"the port name {port!r} is longer than the 15 characters of an interface name")
    inside = f"name {segment} netns {prefix}-{host.name} address {host.mac(segment)}"
    return f"link add {inside} type veth peer name {port} netns {prefix}-{SWITCH}"


def _switching(topology: Topology) -> Iterator[str]:
    for segment in topology.segments():
        yield f"link set {segment} up"
    for host in topology.hosts:
        for port in host.ports:
            yield f"link set {port.segment}.{host.name} master {port.segment} up"


def _addressing(host: Host) -> Iterator[str]:
    yield "link set lo up"
    for port in host.ports:
        yield f"link set {port.segment} up"
        for address in filter(None, (port.v6, port.v4)):
            yield f"addr add {address} dev {port.segment}"
    for route in host.routes:
        family = "-6" if ":" in route.via else "-4"
        yield f"{family} route add {route.to} via {route.via}".removeprefix("-4 ").removeprefix("-6 ")


def _files(prefix: str, host: Host) -> None:
    """What ``ip netns exec`` lays over /etc for this host."""
    folder = NETNS_FILES / f"{prefix}-{host.name}"
    folder.mkdir(parents=True, exist_ok=True)
    resolvers = "".join(f"nameserver {address}\n" for address in host.resolvers)
    (folder / "resolv.conf").write_text(resolvers + "options timeout:2 attempts:1\n")
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost {host.name}\n")
    (folder / "hostname").write_text(host.name + "\n")
    (folder / "machine-id").write_text(hashlib.md5(f"{prefix}/{host.name}".encode()).hexdigest() + "\n")


def _ip(options: list[str], lines: Iterable[str]) -> None:
    text = "\n".join(lines)
    done = subprocess.run(["ip", *options, "-batch", "-"], check=False, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(options)}: {done.stderr.strip()}\n{text}")


def _sysctl(space: str, settings: dict[str, object]) -> None:
    words = [f"{name}={value}" for name, value in settings.items()]
    done = subprocess.run(["ip", "netns", "exec", space, "sysctl", "-q", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"sysctl in {space}: {done.stderr.strip()}")


def _started(pid: int) -> str:
    """When a process started, so that a recycled pid is not taken for the owner; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _mounts_under(directory: str) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(directory + "/")][::-1]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        down(sys.argv[1])
    else:
        print(*reap(), sep="\n")
