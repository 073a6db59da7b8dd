"""Links: good for one person, one incident and a while; anything else about them is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.ca import Authority
from collector.signed_link import LENGTH, PREFIX, Link, Links
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from tests.collector.access.sqlite_store import open_store

HOUR = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Store:
    return open_store(tmp_path, clock)


@pytest.fixture
def links(store: Store, clock: ManualClock) -> Links:
    return Links(store, clock, b"k" * 32, HOUR)


def refused(links: Links, token: str) -> str:
    with pytest.raises(Permanent) as error:
        links.open(token)
    return error.value.reason


def test_it_opens_one_incident_for_one_person(links: Links, clock: ManualClock) -> None:
    token = links.token("page", "incident", "li")
    assert len(token) == LENGTH
    assert links.open(token) == Link("incident", "li", clock.now_ms() + HOUR)


def test_the_same_page_has_the_same_link_also_later_and_from_another_collector(
    links: Links, store: Store, clock: ManualClock
) -> None:
    token = links.token("page", "incident", "li")
    clock.advance(60)
    assert Links(store, clock, b"k" * 32, HOUR).token("page", "incident", "li") == token
    assert links.token("page-2", "incident", "li") != token


def test_collectors_of_one_authority_have_one_key(tmp_path: Path, clock: ManualClock) -> None:
    one = Authority.open(tmp_path / "ca", clock)
    assert one.derived("a") == Authority.open(tmp_path / "ca", clock).derived("a") != one.derived("b")
    assert Authority.open(tmp_path / "other", clock).derived("a") != one.derived("a")


def test_it_ends(links: Links, clock: ManualClock) -> None:
    token = links.token("page", "incident", "li")
    clock.advance(3600)
    assert refused(links, token) == "expired_link"


def test_it_is_taken_away_from_whoever_handed_over_and_from_nobody_else(links: Links) -> None:
    mine, again = links.token("p1", "incident", "li"), links.token("p2", "incident", "li")
    other, theirs = links.token("p3", "other", "li"), links.token("p4", "incident", "zhao")
    assert links.revoke("incident", "li", "handed_over") == 2
    assert [refused(links, token) for token in (mine, again)] == ["revoked_link"] * 2
    assert links.open(other).incident == "other"
    assert links.open(theirs).person == "zhao"


def test_what_is_written_into_the_store_alone_opens_nothing(links: Links, store: Store, clock: ManualClock) -> None:
    token = links.token("page", "incident", "li")
    state = store.list_state(PREFIX)[0]
    for changed in (
        Link("other", "li", clock.now_ms() + HOUR),
        Link("incident", "zhao", clock.now_ms() + HOUR),
        Link("incident", "li", clock.now_ms() + 9 * HOUR),
    ):
        version = store.read_state(state.key).version
        store.write_state(state.key, msgspec.json.encode(changed), version)
        assert refused(links, token) == "bad_link"
    store.write_state(state.key, b"nonsense", store.read_state(state.key).version)
    assert refused(links, token) == "bad_link"


def test_another_key_opens_nothing(links: Links, store: Store, clock: ManualClock) -> None:
    assert refused(Links(store, clock, b"x" * 32, HOUR), links.token("page", "incident", "li")) == "bad_link"


def test_old_ones_are_forgotten(links: Links, store: Store, clock: ManualClock) -> None:
    links.token("page", "incident", "li")
    links.clear()
    assert len(store.list_state(PREFIX)) == 1
    clock.advance(26 * 3600)
    links.clear()
    assert store.list_state(PREFIX) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60), st.integers(0, 17), st.integers(1, 255))
def test_whatever_is_guessed_or_changed_is_refused(links: Links, text: str, at: int, change: int) -> None:
    import base64

    token = links.token("page", "incident", "li")
    assert text == token or refused(links, text) == "bad_link"
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[at] ^= change
    assert refused(links, base64.urlsafe_b64encode(bytes(raw)).decode()) == "bad_link"
