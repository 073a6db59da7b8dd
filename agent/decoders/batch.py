"""Many captured packets at once, as arrays into one buffer: what the vectorised decoder takes.

Only with numpy (the extra ``fast``); without it packets are decoded one by one by ``agent/decoders/packet.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``n`` packets of one link type in order of capture; packet ``i`` is ``data[starts[i] :][: captured[i]]``.

    ``captured`` and ``lengths`` are bytes kept and on the wire, ``times_ns`` nanoseconds since 1970 UTC, ``link``
    the LINKTYPE of https://www.tcpdump.org/linktypes.html. Every packet lies wholly inside ``data``.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    captured: NDArray[np.int64]
    lengths: NDArray[np.int64]
    times_ns: NDArray[np.int64]
    link: int

    def __len__(self) -> int:
        return len(self.starts)
