"""The inventory of a first run: this host as one unit, and whose its addresses are. Written once, then for people."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from pathlib import Path

UNIT = "local"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TEXT = """\
# 台账:单位、区域、地址段。由 tengwang up 首次运行时生成,请按实际情况修改;保存后几秒内生效。
# Inventory: units, zones, prefixes. Written by the first run of tengwang up; edit it, it is read again within seconds.
# A full example with four levels, devices and systems: tengwang inventory example DIRECTORY
units:
  - {{id: {unit}, name: {name}, level: city}}

zones:
  - {{id: intranet, name: 内网, name_en: Internal network}}
  - {{id: public, name: 公网地址, name_en: Public addresses}}
  - {{id: link, name: 链路本地, name_en: Link-local}}
  - {{id: host, name: 本机, name_en: This host}}

prefixes:
{prefixes}
"""


def write(folder: Path, root: Path = Path("/"), name: str = "") -> bool:
    """Write ``local.yml`` where the folder has no inventory yet; True where it did. Raises OSError."""
    if any(folder.glob("*.yml")) or any(folder.glob("*.yaml")):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "local.yml").write_text(text(networks(root), name or socket.gethostname()), encoding="utf-8")
    return True


def text(found: Iterable[Network], name: str) -> str:
    """The file's content. ``name`` becomes the unit's."""
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    lines = [f'  - {{prefix: "{network}", unit: {UNIT}, zone: {zone(network)}}}' for network in dict.fromkeys(found)]
    return TEXT.format(unit=UNIT, name=quoted, prefixes="\n".join(lines))


def zone(network: Network) -> str:
    if network.is_loopback:
        return "host"
    if network.is_link_local:
        return "link"
    return "public" if network.is_global else "intranet"


def networks(root: Path = Path("/")) -> list[Network]:
    """The loopback and link-local prefixes, and every network this host is connected to, IPv6 first."""
    fixed = ("::1/128", "127.0.0.0/8", "fe80::/10", "169.254.0.0/16")
    made: list[Network] = [ipaddress.ip_network(text) for text in fixed]
    return [*made, *(n for n in (*_v6(root), *_v4(root)) if not n.is_loopback and not n.is_link_local)]


def _v6(root: Path) -> list[Network]:
    """Columns of if_inet6: address, index, prefix length, scope, flags, name; numbers in hex."""
    found: set[Network] = set()
    for line in _lines(root / "proc/net/if_inet6"):
        parts = line.split()
        if len(parts) >= 6 and len(parts[0]) == 32:
            found.add(ipaddress.IPv6Network((int(parts[0], 16), int(parts[2], 16)), strict=False))
    return sorted(found, key=str)


def _v4(root: Path) -> list[Network]:
    """Routes without a gateway; /proc/net/route has addresses as little-endian hex on the machines we run on."""
    found: set[Network] = set()
    for line in _lines(root / "proc/net/route")[1:]:
        parts = line.split()
        if len(parts) >= 8 and parts[2] == "00000000" and parts[1] != "00000000":
            address = ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(parts[1]), "little"))
            mask = ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(parts[7]), "little"))
            found.add(ipaddress.IPv4Network(f"{address}/{mask}", strict=False))
    return sorted(found, key=str)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
