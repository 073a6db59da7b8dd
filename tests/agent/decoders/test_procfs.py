from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decoders import procfs


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_any_text_gives_values_or_nothing(text: str) -> None:
    for prefix in ("", "cpu ", "MemTotal: ", "PRETTY_NAME="):
        procfs.load(prefix + text)
        procfs.uptime(prefix + text)
        procfs.memory(prefix + text)
        procfs.processor(prefix + text)
        procfs.os_release(prefix + text)


def test_what_a_kernel_writes_is_read() -> None:
    assert procfs.load("0.52 0.58 0.59 1/300 4242\n") == 0.52
    assert procfs.uptime("12345.67 54321.00\n") == 12345
    assert procfs.memory("MemTotal:  2048 kB\nHugePages_Total:  3\n") == {"MemTotal": 2_097_152, "HugePages_Total": 3}
    assert procfs.processor("cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 1 2\n") == procfs.Processor(busy=16, total=100)
    assert procfs.os_release('NAME="X"\nVERSION_ID=1\n') == "X 1"
    assert procfs.os_release('PRETTY_NAME="银河麒麟 V10"\n') == "银河麒麟 V10"
