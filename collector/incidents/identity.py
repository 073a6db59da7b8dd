"""Ids of incidents: made of what they are about, so that what is done twice is recognised."""

from __future__ import annotations

import hashlib
import re

ID = re.compile(r"[0-9a-f]{24}")
SYSTEM = "system"
"""Who did what no person did."""


def incident_id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=12).hexdigest()
