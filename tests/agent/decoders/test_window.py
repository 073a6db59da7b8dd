from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders.window import Window
from telemetry.errors import Permanent


@given(st.lists(st.binary(max_size=20)), st.lists(st.integers(0, 30), min_size=1))
def test_what_is_asked_for_is_there_or_the_file_is_over(pieces: list[bytes], steps: list[int]) -> None:
    whole, window, at = b"".join(pieces), Window(pieces), 0
    for step in steps * 3:
        at = window.more(at, step)
        left = whole[window.base + at :]
        assert len(window.data) - at >= min(step, len(left))
        assert left.startswith(window.data[at:])
        at = min(at + step, len(window.data))


def failing() -> Iterator[bytes]:
    yield b"before"
    raise Permanent("bad_source", "the disk")


def test_a_fault_of_the_source_comes_after_what_was_read_and_in_place_of_the_end() -> None:
    window = Window(failing())
    at = window.more(0, 100)
    assert window.data[at:] == b"before"
    with pytest.raises(Permanent, match="bad_source: the disk"):
        window.end()
    with pytest.raises(Permanent, match="bad_source: the disk"):
        window.fail("short_file", 0, "6 bytes left")
    with pytest.raises(Permanent, match="bad_block: at byte 2: what"):
        window.fail("bad_block", 2, "what")


def test_a_file_in_one_piece_is_not_copied() -> None:
    data = bytes(100)
    window = Window([data])
    assert window.more(window.more(0, 10), 50) == 0
    assert window.data is data
    window.end()
