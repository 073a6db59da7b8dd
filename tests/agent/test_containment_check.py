"""What ``tengwang-agent check`` says of containment."""

from __future__ import annotations

from collections.abc import Sequence

from agent.nft import Nft
from agent.order_policy import Actions
from agent.self_check import Grade, _actions
from telemetry.order import Action


def answering(code: int, errors: str) -> Nft:
    def run(words: Sequence[str], text: str) -> tuple[int, str, str]:
        return code, '{"nftables": []}', errors

    return Nft(run)


def test_where_only_measurements_are_allowed_there_is_nothing_to_say() -> None:
    assert _actions(Actions()) == []


def test_what_is_allowed_and_can_be_done_is_said_with_its_reach() -> None:
    (found,) = _actions(Actions(allow=(Action.BLOCK_SOURCE,)), answering(0, ""))
    assert found.grade is Grade.GOOD
    assert found.detail.startswith("may block_source; they reach: ")


def test_what_is_allowed_and_can_not_be_done_is_said_with_what_helps() -> None:
    (found,) = _actions(Actions(allow=(Action.BLOCK_SOURCE,)), answering(1, "Error: Operation not permitted"))
    assert found.grade is Grade.LIMITED
    assert "CAP_NET_ADMIN" in found.detail
    assert "AmbientCapabilities" in found.advice
