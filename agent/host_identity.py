"""What tells this host from another: machine id, name, MAC addresses, product UUID. See telemetry/enrol.Host."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

from telemetry.enrol import Host

SIOCGIFHWADDR = 0x8927
ARPHRD_ETHER = 1
PERMANENT, SET_BY_USER = "0", "3"
"""addr_assign_type of Documentation/ABI/testing/sysfs-class-net; 1 is random, 2 is taken from another interface."""


def this_host(root: Path = Path("/")) -> Host:
    """``root``: where /etc, /proc and /sys are looked for. MACs are those of this network namespace.

    Random MACs count only where there is no other: they change when a virtual interface is made anew.
    """
    lasting: list[str] = []
    others: list[str] = []
    for _, name in socket.if_nameindex():
        mac = _mac(name)
        if mac is None or (root / "sys/class/net" / name / "bridge").exists():
            continue
        kind = _read(root / "sys/class/net" / name / "addr_assign_type")
        (lasting if kind in (PERMANENT, SET_BY_USER) else others).append(mac)
    return Host(
        machine_id=_read(root / "etc/machine-id") or _read(root / "var/lib/dbus/machine-id"),
        name=_read(root / "proc/sys/kernel/hostname") or socket.gethostname(),
        macs=tuple(sorted(set(lasting or others))),
        product_uuid=_read(root / "sys/class/dmi/id/product_uuid").lower(),
    )


def _mac(name: str) -> str | None:
    """The MAC of an Ethernet interface; None for loopback, tunnels and such."""
    with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), SIOCGIFHWADDR, struct.pack("16s24x", name.encode()[:15]))
        except OSError:
            return None
    (family,) = struct.unpack_from("=H", answer, 16)
    mac = answer[18:24]
    return mac.hex(":") if family == ARPHRD_ETHER and any(mac) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
