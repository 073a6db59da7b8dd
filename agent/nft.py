"""nftables by its own program: one table ``tengwang`` a family, one chain and its sets an order.

The ``nft`` binary with JSON both ways, one transaction a call: it comes with every distribution's nftables, while the
Python binding is a system package that a virtual environment does not see. Each target is an element of a set with a
timeout, so the kernel itself ends a block at its time, also where this program was killed and never came back.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from telemetry.errors import Permanent, Transient

TABLE = "tengwang"
FAMILIES = ("bridge", "inet", "netdev")
SECONDS = 10.0
Json = dict[str, Any]
Run = Callable[[Sequence[str], str], tuple[int, str, str]]


def run_nft(words: Sequence[str], text: str) -> tuple[int, str, str]:
    """Exit code, output and errors. Raises Permanent where there is no nft, Transient where it hangs."""
    binary = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if binary is None:
        raise Permanent("no_nft", "the program nft is not installed: apt-get install nftables")
    try:
        done = subprocess.run(  # noqa: S603 - our own words, and JSON that nft parses
            [binary, *words], input=text, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Transient(f"nft: {error}") from error
    return done.returncode, done.stdout, done.stderr


class Nft:
    """``run`` is replaced in a test."""

    def __init__(self, run: Run = run_nft) -> None:
        self._run = run

    def probe(self) -> None:
        """Raises Permanent where this host or this program's rights do not let it set rules."""
        self._ask(["-j", "list", "tables"], "")

    def commit(self, commands: Sequence[Json]) -> None:
        """All of it or nothing. Raises Permanent, Transient."""
        self._ask(["-j", "-f", "-"], json.dumps({"nftables": list(commands)}))

    def table(self, family: str) -> list[Json]:
        """What our table of this family holds; nothing where it is not there. Raises Permanent, Transient."""
        try:
            text = self._ask(["-j", "list", "table", family, TABLE], "")
        except Permanent as error:
            if error.reason == "not_there":
                return []
            raise
        try:
            found = json.loads(text)["nftables"]
        except (ValueError, KeyError, TypeError) as error:
            raise Transient("nft gave an answer that is not understood") from error
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def _ask(self, words: Sequence[str], text: str) -> str:
        code, out, errors = self._run(words, text)
        if code == 0:
            return out
        said = " ".join(errors.split())[:300]
        if "Operation not permitted" in said or "Permission denied" in said:
            raise Permanent("not_permitted", f"{said}; it needs CAP_NET_ADMIN, ambient as nft is another program")
        if "No such file or directory" in said:
            raise Permanent("not_there", said)
        if "not supported" in said:
            raise Permanent("not_supported", f"{said}; this kernel lacks that part of nftables")
        if "busy" in said or "temporarily" in said:
            raise Transient(f"nft: {said}")
        raise Permanent("nft", said)


def chains_of(items: Sequence[Json]) -> list[str]:
    return [str(item["chain"]["name"]) for item in items if isinstance(item.get("chain"), dict)]


def sets_of(items: Sequence[Json]) -> dict[str, bool]:
    """Set -> does it still have an element?"""
    found = [item["set"] for item in items if isinstance(item.get("set"), dict)]
    return {str(one["name"]): bool(one.get("elem")) for one in found}


def counted(items: Sequence[Json], chain: Callable[[str], bool]) -> tuple[int, int, int]:
    """Rules, packets and bytes of the chains that are asked for."""
    rules = packets = octets = 0
    for item in items:
        rule = item.get("rule")
        if not isinstance(rule, dict) or not chain(str(rule.get("chain", ""))):
            continue
        rules += 1
        for part in rule.get("expr", ()):
            counter = part.get("counter") if isinstance(part, dict) else None
            if isinstance(counter, dict):
                packets += int(counter.get("packets", 0))
                octets += int(counter.get("bytes", 0))
    return rules, packets, octets
