from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders.columns_buffer import REACH, buffer, network_order, wide
from tests.agent.decoders.batches import batch


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=10), st.sampled_from([2, 4, 40, 56]))
def test_every_packet_begins_as_it_is_however_little_is_behind_it(frames: list[bytes], size: int) -> None:
    seen, at = buffer(batch(frames))
    for frame, taken in zip(frames, seen.take(size, at), strict=True):
        common = min(len(frame), size)
        assert taken.tobytes()[:common] == frame[:common]


def test_a_buffer_with_room_behind_is_not_copied() -> None:
    whole = batch([b"ab", bytes(REACH)])
    part = type(whole)(whole.data, whole.starts[:1], whole.captured[:1], whole.lengths[:1], whole.times_ns[:1], 1)
    seen, _ = buffer(part)
    assert seen._data is whole.data


def test_numbers_are_as_on_the_wire() -> None:
    rows = np.frombuffer(b"\x08\x00\x86\xdd", np.uint8).reshape(1, 4)
    assert wide(rows, 0).tolist() == [0x0800]
    assert wide(rows, 2).tolist() == [0x86DD]
    assert rows.view(np.uint16)[0, 1] == network_order(0x86DD)
