"""Whatever state an order is in, and for whatever reason, there are words for it in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from collector.response.model import State
from collector.response.texts import SCOPES, STATES, WHYS, why_text
from telemetry.order import Scope

ROOT = Path(__file__).parents[3]
FILES = ("judgement.py", "respond.py", "proposing.py", "responses.py")


def test_every_state_and_reach_has_its_words() -> None:
    assert set(STATES) == set(State)
    assert set(SCOPES) == set(Scope)


def test_every_reason_that_is_given_has_its_words() -> None:
    given = set()
    for name in FILES:
        text = (ROOT / "collector/response" / name).read_text(encoding="utf-8")
        given |= set(re.findall(r'Verdict\(State\.\w+, "(\w+)"', text)) | set(re.findall(r'why="(\w+)"', text))
        given |= set(re.findall(r'State\.\w+, "(\w+)", now', text))
    for name in ("orders.py", "order_policy.py", "order_signature.py", "fence.py", "nft.py", "remeasure.py"):
        text = (ROOT / "agent" / name).read_text(encoding="utf-8")
        given |= set(re.findall(r'_undo\(order_id, "(\w+)"\)', text)) | set(
            re.findall(r'_give_up\(order, "(\w+)"', text)
        )
        given |= set(re.findall(r'Permanent\("(\w+)"', text))
    assert len(given) > 20
    assert given - WHYS.keys() == set()


def test_what_stands_behind_a_reason_is_kept() -> None:
    assert why_text("protected: device gateway").en == "the target is protected: device gateway"
    assert why_text("protected: device gateway").zh == "目标受保护：device gateway"
    assert why_text("something new").en == "something new"
