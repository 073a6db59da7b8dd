"""Parameters that every search shares."""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector.search_text import MAX_TEXT

TIME = r"^(now|-[0-9]{1,6}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]{5,15}(Z|[+-][0-9]{2}:[0-9]{2})?)?)$"
Since = Annotated[str, msgspec.Meta(pattern=TIME, description="From then on: -90m, or RFC 3339", examples=["-1h"])]
Until = Annotated[str, msgspec.Meta(pattern=TIME, description="Before then: now, -5m, or RFC 3339", examples=["now"])]
Query = Annotated[
    str,
    msgspec.Meta(
        max_length=MAX_TEXT,
        description='Search text: `src:2001:db8::/32 -action:flow port:>=1024 agent:*city* "free text"`; all must hold',
        examples=["dataset:tengwang.flow src:2001:db8::/32"],
    ),
]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="At most this many")]
Cursor = Annotated[str, msgspec.Meta(max_length=512, description="`next` of the page before; the rest unchanged")]


class Period(msgspec.Struct, frozen=True):
    """A page of a search, newest first."""

    since: Since = "-1h"
    until: Until = "now"
    q: Query = ""
    limit: Limit = 100
    cursor: Cursor = ""
