from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import packet
from agent.decoders.flow_meter import TICK_NS, FlowMeter
from agent.decoders.flow_table import SECOND, FlowTable
from tests.agent.decoders.batches import batch
from tests.agent.decoders.test_flow_table import FRAMES, Told, told

STEPS = st.lists(
    st.tuples(st.integers(0, len(FRAMES) - 1), st.sampled_from([0, 1, 400, 900, 5000, 16_000])), max_size=40
)


@settings(max_examples=200)
@given(STEPS, st.integers(1, 40))
def test_totals_are_exact_and_no_silence_is_missed_however_packets_come(
    steps: list[tuple[int, int]], most: int
) -> None:
    now, times = 1_000_000 * SECOND, []
    for _, later_ms in steps:
        now += later_ms * 1_000_000
        times.append(now)
    frames = [FRAMES[number] for number, _ in steps]
    cuts = range(0, len(steps), most)
    made = [batch(frames[at : at + most], times_ns=times[at : at + most]) for at in cuts]
    meter = FlowMeter(FlowTable(100, 60, 15, seed=1))
    records = list(meter.meter(made))
    found: Counter[Told] = Counter()
    for some in records:
        found += told(some)
    sizes = []
    for frame in frames:
        header = packet.decode(frame, len(frame))
        assert header is not None
        sizes.append(header.size)
    assert sum(key[2] * count for key, count in found.items()) == len(frames) == meter.packets
    assert sum(key[3] * count for key, count in found.items()) == sum(sizes)
    # a flow in which two packets are further apart than silence and a tick would have been told in between
    for key in found:
        if key[2] == 2:
            assert key[5] - key[4] <= 15 * SECOND + 2 * TICK_NS


def test_what_is_skipped_is_counted() -> None:
    meter = FlowMeter(FlowTable(1, 60, 15, seed=1))
    list(meter.meter([batch([]), batch([b"", FRAMES[0], FRAMES[3], FRAMES[0][:20]])]))
    assert meter.skipped == {"short_frame": 1, "short_ipv4": 1}
    assert (meter.packets, meter.table_full) == (4, 1)
