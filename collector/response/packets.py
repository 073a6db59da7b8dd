"""The packets that an order asked for, put together of the parts that the agent sent."""

from __future__ import annotations

import base64

import zstandard

from collector.query import Equals, Kind, Search
from collector.response.model import Kept
from collector.store import Store
from telemetry.errors import Permanent
from telemetry.event import Event
from telemetry.order import EVIDENCE_DATASET, EVIDENCE_PART, MAX_EVIDENCE

SKEW_MS = 27 * 3_600_000
MAX_PARTS = -(-MAX_EVIDENCE // EVIDENCE_PART)
MAX_UNPACKED = 8 * MAX_EVIDENCE
MAGIC = b"\x0a\x0d\x0d\x0a"


def of_order(store: Store, kept: Kept, now_ms: int) -> bytes:
    """A pcapng. Raises Permanent ``not_found`` where it is not there, or not whole."""
    where = (
        Equals("event.dataset", (EVIDENCE_DATASET,)),
        Equals("tengwang.order.id", (kept.id,)),
        # another agent has no packets of this order
        Equals("agent.id", (kept.proposal.agent,)),
    )
    since = max((kept.decided_ms or kept.proposed_ms) - SKEW_MS, 0)
    page = store.search(Search(since, now_ms + SKEW_MS, where, Kind.EVENT, MAX_PARTS))
    return joined([found.doc for found in page.rows])


def joined(docs: list[Event]) -> bytes:
    """Raises Permanent ``not_found``. What came is an agent's word: nothing in it is believed."""
    parts = {doc.get("tengwang.evidence.part"): str(doc.get("tengwang.evidence.data", "")) for doc in docs}
    counts = {doc.get("tengwang.evidence.parts") for doc in docs}
    if len(counts) != 1 or set(parts) != set(range(1, len(parts) + 1)) or counts != {len(parts)}:
        raise Permanent("not_found", f"{len(parts)} parts of the packets are there")
    try:
        packed = b"".join(base64.b64decode(parts[number], validate=True) for number in range(1, len(parts) + 1))
        with zstandard.ZstdDecompressor(max_window_size=MAX_UNPACKED).stream_reader(packed) as reader:
            data = reader.read(MAX_UNPACKED + 1)
    except (ValueError, zstandard.ZstdError) as error:
        raise Permanent("not_found", f"what the agent sent can not be read: {error}") from error
    if not data.startswith(MAGIC) or len(data) > MAX_UNPACKED:
        raise Permanent("not_found", "what the agent sent is no pcapng")
    return data
