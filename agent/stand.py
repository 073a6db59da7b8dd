"""Where this host stands in the way of packets, and so whom its rules can protect.

A bridge sees all that its ports say to each other; a router what goes through it; any other host only what comes to
itself. Bridges that container engines make for themselves are passed over unless they are named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from telemetry.order import Scope

CONTAINERS = re.compile(r"(docker|virbr|cni|lxcbr|lxdbr|podman)[0-9]*|br-[0-9a-f]{12}")
ETHERNET = "1"


class Stand(msgspec.Struct, frozen=True):
    """``bridges`` with their ports, two or more; ``cards`` are the Ethernet interfaces that are no ports."""

    bridges: dict[str, tuple[str, ...]] = {}
    cards: tuple[str, ...] = ()
    router: bool = False

    @property
    def scope(self) -> Scope:
        if self.bridges:
            return Scope.SEGMENT
        return Scope.ROUTED if self.router else Scope.HOST


def look(root: Path = Path("/"), only: Sequence[str] = ()) -> Stand:
    """``only``: the interfaces by name that rules may be set on; empty: all."""
    net = root / "sys/class/net"
    try:
        names = sorted(path.name for path in net.iterdir() if path.is_dir())
    except OSError:
        names = []
    wanted = [name for name in names if (name in only if only else not CONTAINERS.fullmatch(name))]
    ports = {name: tuple(sorted(_entries(net / name / "brif"))) for name in wanted if (net / name / "bridge").is_dir()}
    bridges = {name: found for name, found in ports.items() if len(found) > 1}
    cards = [
        n
        for n in wanted
        if _text(net / n / "type") == ETHERNET and not (net / n / "brport").exists() and n not in bridges
    ]
    forwarding = any(
        _text(root / f"proc/sys/net/{switch}") == "1" for switch in ("ipv6/conf/all/forwarding", "ipv4/ip_forward")
    )
    return Stand(bridges, tuple(cards), forwarding and len(cards) + len(bridges) > 1)


def _entries(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
