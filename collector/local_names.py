"""By which names and addresses this host may be reached: what its server certificate is made for."""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path

MAX_NAMES = 200


def local_names(root: Path = Path("/")) -> tuple[str, ...]:
    """``localhost``, the host's own name, and every address it has, IPv6 first. Never raises."""
    names = ["localhost", socket.gethostname(), *addresses(root)]
    return tuple(dict.fromkeys(name for name in names if name))[:MAX_NAMES]


def addresses(root: Path = Path("/")) -> list[str]:
    """All addresses of this host's interfaces, IPv6 first, as the kernel lists them in /proc."""
    return [*_v6(root), *_v4(root)]


def _v6(root: Path) -> list[str]:
    found = []
    for line in _lines(root / "proc/net/if_inet6"):
        digits = line.partition(" ")[0]
        if re.fullmatch(r"[0-9a-f]{32}", digits):
            found.append(str(ipaddress.IPv6Address(int(digits, 16))))
    return sorted(set(found))


def _v4(root: Path) -> list[str]:
    """In fib_trie a local address is ``|-- ADDRESS`` followed by a line ``/32 host LOCAL``."""
    found = []
    address = ""
    for line in _lines(root / "proc/net/fib_trie"):
        if leaf := re.search(r"\|-- ([0-9.]+)$", line):
            address = leaf[1]
        elif address and line.strip() == "/32 host LOCAL":
            found.append(address)
    return sorted(set(found))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
