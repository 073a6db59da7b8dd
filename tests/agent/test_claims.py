from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.claims import Claim, Claims, Kind
from telemetry.work import DhcpServer, Router, Terminal, Work

A, B, C, ROUTER = (bytes([2, 0, 0, 0, 0, number]) for number in (1, 2, 3, 9))
IP, OTHER, GATEWAY = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), bytes([192, 0, 2, 254])
WORK = Work(
    "1",
    routers=(Router("r", ("192.0.2.254", "no address"), ("02:00:00:00:00:09",)),),
    dhcp=(DhcpServer("d", ("192.0.2.3",)),),
    terminals=(Terminal("t", ("02:00:00:00:00:01",), ("192.0.2.1",)),),
)


def test_who_keeps_an_address_is_nothing_to_tell() -> None:
    claims = Claims()
    assert [claims.claim(0, IP, A, now) for now in (0.0, 1.0, 100.0)] == [None] * 3


def test_an_address_that_moves_is_told_with_who_had_it() -> None:
    claims = Claims()
    claims.claim(0, IP, A, 0.0)
    assert claims.claim(0, IP, B, 1.0) == Claim(Kind.MOVED, A)
    assert claims.claim(0, IP, B, 2.0) is None
    assert claims.claim(1, IP, C, 2.0) is None  # another segment


def test_two_that_take_it_from_each_other_are_in_conflict() -> None:
    claims = Claims()
    claims.claim(0, IP, A, 0.0)
    claims.claim(0, IP, B, 1.0)
    assert claims.claim(0, IP, A, 2.0) == Claim(Kind.CONFLICT, B)
    assert claims.claim(0, IP, B, 30.0) == Claim(Kind.CONFLICT, A)
    assert claims.claim(0, IP, A, 200.0) == Claim(Kind.MOVED, B)


def test_an_address_long_unheard_may_be_given_to_another() -> None:
    claims = Claims()
    claims.claim(0, IP, A, 0.0)
    assert claims.claim(0, IP, B, 3601.0) is None
    assert claims.claim(0, IP, A, 3602.0) is not None


def test_who_answers_a_host_that_asks_is_told() -> None:
    claims = Claims()
    assert claims.ask(0, IP, A, 0.0) is None
    assert claims.ask(0, IP, A, 0.5) is None  # it asks three times
    assert claims.claim(0, IP, B, 1.0) == Claim(Kind.DUPLICATE, A)
    assert claims.claim(0, IP, A, 1.5) is None  # it uses it now
    assert claims.claim(0, OTHER, B, 1.0) is None
    assert claims.ask(0, IP, B, 2.0) == Claim(Kind.DUPLICATE, A)
    claims.ask(0, OTHER, C, 10.0)
    assert claims.claim(0, OTHER, B, 20.0) is None  # too late to be an answer


def test_a_registered_address_is_only_for_its_own_macs_and_for_routers() -> None:
    claims = Claims()
    claims.know(WORK)
    assert claims.claim(0, IP, B, 0.0) == Claim(Kind.REGISTERED, A)
    assert claims.claim(0, IP, B, 0.1) == Claim(Kind.REGISTERED, A)
    assert claims.claim(0, IP, A, 0.2) is None
    assert claims.claim(0, GATEWAY, A, 0.3) == Claim(Kind.REGISTERED, ROUTER)
    assert claims.claim(0, IP, ROUTER, 0.4) is None  # proxy ARP
    assert claims.claim(0, bytes([192, 0, 2, 3]), B, 0.5) is None  # registered without a MAC
    claims.know(Work())
    assert claims.claim(0, GATEWAY, A, 0.6) is None


@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=4, max_size=4), st.sampled_from([A, B, C]), st.floats(0, 100)))
)
def test_memory_is_bounded_and_no_claim_names_the_claimant(calls: list[tuple[bool, bytes, bytes, float]]) -> None:
    claims, now = Claims(most=16), 0.0
    for asking, address, mac, later in calls:
        now += later
        told = (claims.ask if asking else claims.claim)(0, address, mac, now)
        assert told is None or told.former != mac
        assert len(claims) <= 16
