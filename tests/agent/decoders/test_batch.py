"""A batch says how many packets it has, and each lies where it says."""

from __future__ import annotations

import numpy as np

from agent.decoders.batch import Batch


def test_a_batch_of_two_packets() -> None:
    data = np.frombuffer(b"abcdefg", np.uint8)
    starts, captured, lengths, times = (np.array(of, np.int64) for of in ((0, 3), (3, 4), (3, 1500), (1, 2)))
    batch = Batch(data, starts, captured, lengths, times, link=1)
    assert len(batch) == 2
    kept = [bytes(batch.data[start:][:size]) for start, size in zip(batch.starts, batch.captured, strict=True)]
    assert kept == [b"abc", b"defg"]
