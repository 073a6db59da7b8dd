"""``/readiness``: the newest verdicts, by system and device, with evidence and advice."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from collector.api._operation import Operation
from collector.site import Site, Who
from collector.views.readiness import AssetReadiness, readiness


class Filter(msgspec.Struct, frozen=True):
    unit: Annotated[str, msgspec.Meta(description="Only assets of this unit", max_length=64)] = ""
    kind: Annotated[
        Literal["", "system", "device", "subject"], msgspec.Meta(description="Only assets of this kind")
    ] = ""


class ReadinessList(msgspec.Struct, frozen=True):
    """``passed`` of ``tested`` checks; what could not be tested counts as neither."""

    passed: int
    tested: int
    assets: tuple[AssetReadiness, ...]


async def every(site: Site, _who: Who, asked: Filter) -> ReadinessList:
    found = await site.answers.ask(lambda: readiness(site.services))
    kept = tuple(
        a for a in found if (not asked.unit or a.unit == asked.unit) and (not asked.kind or a.kind == asked.kind)
    )
    return ReadinessList(sum(a.passed for a in kept), sum(a.tested for a in kept), kept)


OPERATIONS = (
    Operation(
        "/readiness", "list_readiness", "readiness", "IPv6 readiness by system and device", Filter, ReadinessList, every
    ),
)
