from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decoders.captures import records
from telemetry.errors import Permanent
from tests.agent.decoders import blocks, tshark


def test_either_kind_is_known_by_its_first_bytes_however_they_come() -> None:
    old = (tshark.CAPTURES / "links" / "raw.pcap").read_bytes()
    new = blocks.section(">") + blocks.interface(">", 101) + blocks.packet(">", 5, b"frame")
    for data, count in ((old, 20), (new, 1)):
        assert len(list(records([data]))) == len(list(records([bytes([byte]) for byte in data]))) == count


@pytest.mark.parametrize("data", [b"", b"MZ", b"GIF89a and more than a header's worth of bytes"])
def test_what_is_neither_is_refused(data: bytes) -> None:
    with pytest.raises(Permanent, match=r"not_pcap: .* begins with"):
        list(records([data]))


@given(st.lists(st.binary(max_size=60)))
def test_any_pieces_give_records_or_permanent(pieces: list[bytes]) -> None:
    with contextlib.suppress(Permanent):
        list(records(pieces))
