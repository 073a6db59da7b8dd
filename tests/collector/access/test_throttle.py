"""Tries are bounded per key, and the table of keys is bounded too."""

from __future__ import annotations

from collector.access.throttle import Throttle, network_of
from telemetry.clock import ManualClock


def test_a_burst_then_one_at_a_time() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, burst=3, refill_s=10)
    assert [throttle.take("a") for _ in range(4)] == [0, 0, 0, 10]
    assert throttle.take("b") == 0
    clock.advance(4)
    assert throttle.take("a") == 6
    clock.advance(6)
    assert throttle.take("a") == 0
    assert throttle.take("a") == 10


def test_a_success_gives_the_burst_back() -> None:
    throttle = Throttle(ManualClock(), burst=1, refill_s=10)
    assert throttle.take("a") == 0
    throttle.forget("a")
    assert throttle.take("a") == 0


def test_the_table_is_bounded_and_forgets_the_idlest() -> None:
    throttle = Throttle(ManualClock(), burst=1, refill_s=1000, entries=10)
    throttle.take("victim")
    for number in range(100):
        throttle.take(f"attacker-{number}")
        assert throttle.take("victim") > 0
    assert len(throttle) == 10


def test_one_ipv6_network_is_one_source() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("nonsense") == "unknown"
