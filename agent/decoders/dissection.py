"""scapy's ICMPv6 layers, and nothing else of scapy.

Importing ``scapy.layers.inet6`` as it is costs 36 MB resident, reads the whole routing table of the host four times
(large on a router), and makes files under ``~/.cache`` and ``~/.config``. Needed here are only classes that take bytes
apart. So while it is imported the vendor and Bluetooth name lists are empty, the routing table is not asked for, caches
point nowhere, and ``cryptography`` (for the layers of IPsec) is hidden where the program has not loaded it anyway.
Measured: +11 MB, +15 MB where Wireshark's list of vendors is installed.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import ModuleType

NOWHERE = "/dev/null"
XDG = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


@cache
def layers() -> ModuleType:
    """``scapy.layers.inet6``. Raises ModuleNotFoundError where scapy is not installed."""
    with _environment(dict.fromkeys(XDG, NOWHERE)), _modules(_stand_ins()):
        arch = importlib.import_module("scapy.arch")
        arch.read_routes = arch.read_routes6 = list  # type: ignore[attr-defined]
        made = importlib.import_module("scapy.layers.inet6")
    data = sys.modules["scapy.data"]
    data.MANUFDB.d.clear()
    return made


def _stand_ins() -> dict[str, ModuleType | None]:
    vendors, bluetooth = ModuleType("scapy.libs.manuf"), ModuleType("scapy.libs.bluetoothids")
    vendors.DATA, bluetooth.DATA = "", {}  # type: ignore[attr-defined]
    made: dict[str, ModuleType | None] = {vendors.__name__: vendors, bluetooth.__name__: bluetooth}
    if "cryptography" not in sys.modules:
        made["cryptography"] = None
    return made


@contextmanager
def _modules(stand_ins: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Import these in place of the real ones, for a moment; None makes the import fail."""
    sys.modules.update(stand_ins)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
