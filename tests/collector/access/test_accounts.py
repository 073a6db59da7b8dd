"""Users, sessions, login links and API tokens on a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import argon2
import pytest

from collector import api_tokens, login
from collector.access.roles import Role
from collector.access.sessions import Lifetimes, Sessions, key_of
from collector.access.users import User, Users
from collector.store import Store
from telemetry.clock import ManualClock
from telemetry.errors import Permanent
from tests.collector.access.sqlite_store import open_store

GOOD = "a long sentence is good"


@dataclass
class Place:
    clock: ManualClock
    store: Store
    users: Users
    sessions: Sessions


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    clock = ManualClock()
    store = open_store(tmp_path, clock)
    users = Users(store, clock, argon2.PasswordHasher(time_cost=1, memory_cost=64))
    yield Place(clock, store, users, Sessions(store, users, clock, Lifetimes(idle_s=600, absolute_s=3600)))
    store.close()


async def test_a_right_password_opens_and_nothing_else_does(place: Place) -> None:
    place.users.create("li", Role.VIEWER, GOOD)
    found = await place.users.check("li", GOOD)
    assert found is not None
    assert found.role is Role.VIEWER
    for name, password in (("li", GOOD + "x"), ("li", ""), ("nobody", GOOD), ("../li", GOOD), ("", "")):
        assert await place.users.check(name, password) is None


async def test_a_disabled_account_and_one_without_password_stay_shut(place: Place) -> None:
    place.users.create("root", Role.ADMIN)
    assert await place.users.check("root", "") is None
    place.users.create("li", Role.ADMIN, GOOD)
    place.users.set_disabled("li", disabled=True)
    assert await place.users.check("li", GOOD) is None


def test_the_store_has_only_argon2id(place: Place) -> None:
    place.users.create("li", Role.VIEWER, GOOD)
    kept = place.store.read_state("user/li").value
    assert GOOD.encode() not in kept
    assert b"$argon2id$" in kept
    assert "argon2" not in repr(place.users.get("li"))


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [("Li!", GOOD, "bad_name"), ("li", "short", "weak_password"), ("li", "a" * 20, "weak_password")],
)
def test_bad_names_and_weak_passwords_are_refused(place: Place, name: str, password: str, reason: str) -> None:
    with pytest.raises(Permanent) as caught:
        place.users.create(name, Role.VIEWER, password)
    assert caught.value.reason == reason


def test_the_last_administrator_stays(place: Place) -> None:
    place.users.create("one", Role.ADMIN)
    with pytest.raises(Permanent, match="last_admin"):
        place.users.set_role("one", Role.VIEWER)
    with pytest.raises(Permanent, match="last_admin"):
        place.users.set_disabled("one", disabled=True)
    place.users.create("two", Role.ADMIN)
    assert place.users.set_role("one", Role.VIEWER).role is Role.VIEWER


def test_a_session_ends_when_idle_and_in_any_case(place: Place) -> None:
    user = place.users.create("li", Role.VIEWER)
    token, _ = place.sessions.start(user, "::1")
    for _ in range(8):
        place.clock.advance(400)
        assert place.sessions.find(token) is not None
    place.clock.advance(500)
    assert place.sessions.find(token) is None, "an hour is the most, however busy"
    token, _ = place.sessions.start(user, "::1")
    place.clock.advance(700)
    assert place.sessions.find(token) is None, "idle"
    assert place.store.list_state("session/") == []


def test_a_change_of_the_user_ends_sessions(place: Place) -> None:
    place.users.create("root", Role.ADMIN)
    user = place.users.create("li", Role.ADMIN)
    changes: tuple[Callable[[], User], ...] = (
        lambda: place.users.set_password("li", GOOD),
        lambda: place.users.set_role("li", Role.VIEWER),
        lambda: place.users.set_disabled("li", True),
    )
    for change in changes:
        token, _ = place.sessions.start(place.users.get("li") or user, "::1")
        assert place.sessions.find(token) is not None
        change()
        place.clock.advance(6)
        assert place.sessions.find(token) is None


def test_logout_is_at_once_and_the_token_is_not_in_the_store(place: Place) -> None:
    token, _ = place.sessions.start(place.users.create("li", Role.VIEWER), "::1")
    assert all(token.encode() not in s.value and token not in s.key for s in place.store.list_state("session/"))
    assert place.sessions.find(token) is not None
    place.sessions.end(key_of(token))
    assert place.sessions.find(token) is None
    assert place.sessions.find("made-up") is None


def test_a_login_link_works_once_also_for_two_at_once(place: Place) -> None:
    token = login.create(place.store, place.clock)

    def try_it(_: int) -> str:
        try:
            return login.redeem(place.store, place.users, place.clock, token).name
        except Permanent as error:
            return error.reason

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(try_it, range(4)))
    assert found == ["admin", "bad_link", "bad_link", "bad_link"]


def test_a_login_link_expires_and_is_cleared_away(place: Place) -> None:
    token = login.create(place.store, place.clock)
    place.clock.advance(login.LIFETIME_S)
    with pytest.raises(Permanent, match="bad_link"):
        login.redeem(place.store, place.users, place.clock, token)
    login.create(place.store, place.clock)
    place.clock.advance(login.LIFETIME_S + 1)
    login.create(place.store, place.clock)
    assert len(place.store.list_state("loginlink/")) == 1


def test_an_api_token_is_good_until_it_expires_or_is_revoked(place: Place) -> None:
    text = api_tokens.create(place.store, place.clock, Role.VIEWER, "grafana", 60, "admin")
    found = api_tokens.authenticate(place.store, place.clock, text)
    assert found is not None
    assert (found.name, found.role) == ("grafana", Role.VIEWER)
    assert text.rpartition(".")[2].encode() not in place.store.read_state(f"apitoken/{found.id}").value
    for wrong in ("", "twa.x.y", text[:-1] + ("a" if text[-1] != "a" else "b"), text + "a"):
        assert api_tokens.authenticate(place.store, place.clock, wrong) is None
    place.clock.advance(60)
    assert api_tokens.authenticate(place.store, place.clock, text) is None
    forever = api_tokens.create(place.store, place.clock, Role.ADMIN, "x")
    api_tokens.revoke(place.store, forever.split(".")[1])
    assert api_tokens.authenticate(place.store, place.clock, forever) is None
    with pytest.raises(Permanent, match="no_such_token"):
        api_tokens.revoke(place.store, "../user/li")
