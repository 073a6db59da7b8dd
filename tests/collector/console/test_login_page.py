"""Login, sessions, forged requests, roles and headers, over real HTTP."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from collector.access.roles import Role
from collector.query import Kind, Search
from collector.security import HEADERS
from collector.site import SITE
from tests.running_site import Browserless, RunningSite

GOOD = "a long sentence is good"


def audit(site: RunningSite) -> list[tuple[str, str]]:
    """(action, outcome) of every audit record."""
    found = site.services.store.search(Search(0, site.clock.now_ms() + 1000, kind=Kind.AUDIT, limit=500))
    return [(str(row.doc["event.action"]), str(row.doc["event.outcome"])) for row in found.rows]


async def login(me: Browserless, name: str, password: str, **headers: str) -> tuple[int, str]:
    _, text = await me.get("/login")
    nonce = re.search(r'name="csrf" value="([^"]+)"', text)
    assert nonce
    return await me.post("/login", {"csrf": nonce[1], "name": name, "password": password}, **headers)


async def test_a_stranger_sees_only_the_login_page(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        for path in ("/", "/agents", "/events", "/audit", "/users", "/live", "/account"):
            async with me.http.get(site.url + path, allow_redirects=False) as answer:
                assert (path, answer.status) == (path, 303)
                assert answer.headers["Location"].startswith("/login?next=")
        assert (await me.get("/api/v1/whoami"))[0] == 401


async def test_the_link_opens_once_and_is_audited(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me, Browserless(site) as other:
        link = site.link()
        async with other.http.head(link, allow_redirects=False) as answer:
            assert answer.status == 204, "a preview does not use the link up"
        async with other.http.get(link, headers={"Sec-Purpose": "prefetch"}) as answer:
            assert answer.status == 204
        assert "admin" in await me.enter(link)
        assert (await me.get("/users"))[0] == 200
        async with other.http.get(link) as answer:
            assert answer.status == 403
        assert (await other.get("/api/v1/whoami"))[0] == 401
        assert ("login", "success") in audit(site)
        assert ("login-link", "failure") in audit(site)
        _, trail = await me.get("/audit")
        assert "/login/link/..." in trail
        assert link.rpartition("/")[2] not in trail, "it is a secret until it was used"


async def test_a_password_logs_in_and_out(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        site.app[SITE].users.create("li", Role.VIEWER, GOOD)
        status, text = await login(me, "li", "wrong password")
        assert status == 401
        assert "wrong password" not in text
        assert (await login(me, "nobody", GOOD))[0] == 401
        assert (await login(me, "li", GOOD))[0] == 200
        assert (await me.get("/agents"))[0] == 200
        csrf = await me.csrf()
        await me.post("/logout", {"csrf": csrf})
        async with me.http.get(site.url + "/agents", allow_redirects=False) as answer:
            assert answer.status == 303
        assert [a for a in audit(site) if a[0] in ("login", "logout")] == [
            ("logout", "success"),
            ("login", "success"),
            ("login", "failure"),
            ("login", "failure"),
        ]


async def test_guessing_is_slowed_per_account_and_per_network(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        site.app[SITE].users.create("li", Role.VIEWER, GOOD)
        answers = [(await login(me, "li", "guess"))[0] for _ in range(10)]
        assert answers[:8] == [401] * 8
        assert answers[8:] == [429, 429]
        assert (await login(me, "li", GOOD))[0] == 429, "not even the right one, for now"
        answers = [(await login(me, f"someone-{i}", "guess"))[0] for i in range(12)]
        assert 429 in answers, "nor by trying many names from one network"
        assert ("login-throttled", "failure") in audit(site)


async def test_a_planted_session_is_worth_nothing(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        me.http.cookie_jar.update_cookies({"tengwang": "planted-by-an-attacker"}, response_url=_url(site))
        site.app[SITE].users.create("li", Role.VIEWER, GOOD)
        await login(me, "li", GOOD)
        first = _cookie(me, site)
        assert first != "planted-by-an-attacker"
        async with (
            aiohttp.ClientSession(cookies={"tengwang": "planted-by-an-attacker"}) as attacker,
            attacker.get(site.url + "/agents", allow_redirects=False) as answer,
        ):
            assert answer.status == 303
        await me.enter()
        assert _cookie(me, site) != first
        async with (
            aiohttp.ClientSession(cookies={"tengwang": first}) as old,
            old.get(site.url + "/agents", allow_redirects=False) as answer,
        ):
            assert answer.status == 303, "logging in again ends the session before"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ],
)
async def test_another_site_can_not_act(tmp_path: Path, headers: dict[str, str]) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        await me.enter()
        csrf = await me.csrf()
        assert (await me.post("/users", {"csrf": csrf, "name": "eve", "role": "admin"}, **headers))[0] == 403
        assert (await me.post("/users", {"csrf": "guessed", "name": "eve", "role": "admin"}))[0] == 403
        assert (await me.post("/users", {"name": "eve", "role": "admin"}))[0] == 403
        assert site.app[SITE].users.get("eve") is None
        assert (await me.post("/users", {"csrf": csrf, "name": "adam", "role": "viewer"}))[0] == 200
        assert site.app[SITE].users.get("adam") is not None


async def test_roles_are_enforced_and_refusals_audited(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        site.app[SITE].users.create("li", Role.OPERATOR, GOOD)
        await login(me, "li", GOOD)
        csrf = await me.csrf()
        for path in ("/users", "/audit", "/audit/x"):
            assert (await me.get(path))[0] == 403
        for path in ("/users", "/users/li", "/tokens", "/tokens/x/revoke", "/agents/x/revoke"):
            assert (await me.post(path, {"csrf": csrf, "act": "role", "role": "admin"}))[0] == 403
        user = site.app[SITE].users.get("li")
        assert user is not None
        assert user.role is Role.OPERATOR
        assert audit(site).count(("access-denied", "failure")) == 8
        assert 'href="/users"' not in (await me.get("/"))[1]


async def test_an_invited_person_sets_a_password_which_ends_other_sessions(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as admin, Browserless(site) as me:
        await admin.enter()
        form = {"csrf": await admin.csrf(), "name": "chen", "role": "viewer"}
        _, text = await admin.post("/users", form)
        found = re.search(r"http://[^<\s]+/login/link/[\w-]+", text)
        assert found
        await me.enter(found[0])
        async with Browserless(site) as elsewhere:
            _, text = await admin.post("/users/chen", {"csrf": form["csrf"], "act": "link"})
            again = re.search(r"http://[^<\s]+/login/link/[\w-]+", text)
            assert again
            await elsewhere.enter(again[0])
            csrf = await me.csrf()
            assert (await me.post("/account/password", {"csrf": csrf, "new": "short", "again": "short"}))[0] == 400
            assert (await me.post("/account/password", {"csrf": csrf, "new": GOOD, "again": GOOD + "x"}))[0] == 400
            assert (await me.post("/account/password", {"csrf": csrf, "new": GOOD, "again": GOOD}))[0] == 200
            assert (await me.get("/api/v1/whoami"))[0] == 200
            assert (await elsewhere.get("/api/v1/whoami"))[0] == 401
        assert (await login(me, "chen", GOOD))[0] == 200
        csrf = await me.csrf()
        change = {"csrf": csrf, "old": "not it", "new": GOOD + "!", "again": GOOD + "!"}
        assert (await me.post("/account/password", change))[0] == 403


async def test_every_answer_carries_the_headers(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        for path in ("/login", "/nothing", "/api/v1/whoami", "/api/openapi.json", "/static/x/y", "/metrics"):
            async with me.http.get(site.url + path) as answer:
                for name, value in HEADERS.items():
                    assert answer.headers[name] == value, (path, name)
                assert "Server" not in answer.headers
                assert "Strict-Transport-Security" not in answer.headers, "only over TLS"
        await me.enter()
        cookie = next(c for c in me.http.cookie_jar if c.key == "tengwang")
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        policy = HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
async def test_after_login_only_our_own_pages(tmp_path: Path, target: str) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        site.app[SITE].users.create("li", Role.VIEWER, GOOD)
        _, text = await me.get("/login")
        nonce = re.search(r'name="csrf" value="([^"]+)"', text)
        assert nonce
        form = {"csrf": nonce[1], "name": "li", "password": GOOD, "next": target}
        async with me.http.post(site.url + "/login", data=form, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_over_tls_the_cookie_is_bound_to_it(tmp_path: Path) -> None:
    async with RunningSite(tmp_path, tls=True) as site, Browserless(site) as me:
        site.app[SITE].users.create("li", Role.VIEWER, GOOD)
        assert (await login(me, "li", GOOD, Origin=site.url))[0] == 200
        cookie = next(c for c in me.http.cookie_jar if c.key == "__Host-tengwang")
        assert cookie["secure"]
        assert cookie["path"] == "/"
        async with me.http.get(site.url + "/agents") as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_a_huge_body_is_refused(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        status, _ = await me.post("/login", {"csrf": "x" * 200_000})
        assert status == 413


async def test_metrics_need_a_token_through_a_proxy(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        status, text = await me.get("/metrics")
        assert status == 200
        assert "tengwang_store_writable 1" in text
        assert (await me.get("/metrics", **{"X-Forwarded-For": "192.0.2.1"}))[0] == 401


async def test_the_expired_session_sends_to_login(tmp_path: Path) -> None:
    async with RunningSite(tmp_path) as site, Browserless(site) as me:
        await me.enter()
        assert (await me.get("/api/v1/whoami"))[0] == 200
        site.clock.shift_ms = 13 * 3_600_000
        assert (await me.get("/api/v1/whoami"))[0] == 401


def _url(site: RunningSite) -> URL:
    return URL(site.url)


def _cookie(me: Browserless, site: RunningSite) -> str:
    return me.http.cookie_jar.filter_cookies(_url(site))["tengwang"].value
