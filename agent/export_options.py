"""What the inputs that receive exports have in common: options, and a bound on what is told a second."""

from __future__ import annotations

from typing import Annotated

import msgspec

from telemetry.clock import Clock


class Receiving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The options that all of them have."""

    exporters: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="Exporters besides the registered devices: addresses or prefixes, each with its sampling rate "
            "where it is to be scaled by that: '2001:db8::1 1:1000'"
        ),
    ] = ()
    sampling: Annotated[
        int,
        msgspec.Meta(description="Sampling rate of every exporter; 0: as each of them says", ge=0, le=1_000_000),
    ] = 0
    buffer: Annotated[
        int, msgspec.Meta(description="Bytes of the receive buffer of each socket", ge=65_536, le=1 << 30)
    ] = 32 << 20
    max_records: Annotated[
        int, msgspec.Meta(description="Records told a second; more are lost, and counted", ge=1, le=1_000_000)
    ] = 5000
    max_domains: Annotated[
        int, msgspec.Meta(description="Domains of exporters remembered at a time", ge=1, le=100_000)
    ] = 4096


class Allowance:
    """So many a second, and so many at once."""

    def __init__(self, rate: int, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._left, self._at = float(rate), clock.monotonic()

    def take(self) -> bool:
        if self._left < 1:
            now = self._clock.monotonic()
            self._left, self._at = min(self._rate, self._left + (now - self._at) * self._rate), now
            if self._left < 1:
                return False
        self._left -= 1
        return True
