"""Lengths of time as people write them: ``90s``, ``15m``, ``1h``, ``7d``."""

from __future__ import annotations

import argparse
import re

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(text: str) -> int:
    """Raises argparse's error, so it is a ``type`` of an option."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: write a length of time like 90s, 15m, 1h or 7d")
    return int(found[1]) * UNITS[found[2] or "s"]
