"""What a short message is made of: numbers, parts, and delivery receipts. Pure."""

from __future__ import annotations

import hashlib
import re

WHOLE, PART = 140, 134
"""Octets of a message, and of a part beside its header of 6."""
MAX_PARTS = 10
FINAL = {
    "DELIVRD": True,
    "EXPIRED": False,
    "DELETED": False,
    "UNDELIV": False,
    "REJECTD": False,
    "UNKNOWN": False,
}
"""States of SMPP 3.4, appendix B, that are the last; ENROUTE and ACCEPTD are not."""
STATES = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 7: "UNKNOWN", 8: "REJECTD"}
"""message_state, SMPP 3.4, 5.2.28."""
RECEIPT = 0x04


def digits(phone: str, country: str) -> tuple[str, bool]:
    """The number as SMPP wants it, and whether it is international: ``+86 138...`` and ``138...`` with country 86."""
    number = "".join(c for c in phone if c in "0123456789")
    if phone.strip().startswith("+"):
        return number, True
    if country and number and len(number) > 6:
        return country + number.removeprefix("0"), True
    return number, False


def parts(text: str, id: str) -> list[bytes]:
    """UCS-2 octets; with a header of concatenation where there are several. A character is never cut in two."""
    whole = text.encode("utf-16-be", "replace")
    if len(whole) <= WHOLE:
        return [whole]
    pieces: list[bytes] = [b""]
    for character in text:
        one = character.encode("utf-16-be", "replace")
        if len(pieces[-1]) + len(one) > PART:
            if len(pieces) == MAX_PARTS:
                break
            pieces.append(b"")
        pieces[-1] += one
    reference = hashlib.blake2b(id.encode(), digest_size=1).digest()
    head = b"\x05\x00\x03" + reference + bytes([len(pieces)])
    return [head + bytes([number]) + piece for number, piece in enumerate(pieces, 1)]


def receipt_of(text: bytes, id: str, state: int | None, esm_class: int) -> tuple[str, bool, str] | None:
    """Id, whether it arrived, and the word for it; None for what is no final receipt. Never raises."""
    told = text.decode("latin-1")
    named = re.search(r"\bid:([!-~]{1,65})", told)
    said = re.search(r"\bstat:([A-Z]{1,10})", told)
    if not esm_class & RECEIPT and state is None:
        return None
    number = id.rstrip("\0") or (named[1] if named else "")
    word = STATES.get(state, "") if state is not None else (said[1] if said else "")
    if not number or word not in FINAL:
        return None
    return canonical(number), FINAL[word], word


def canonical(id: str) -> str:
    """Gateways write one id in several ways: in capitals, with zeros before it."""
    return id.rstrip("\0").lower().lstrip("0") or "0"
