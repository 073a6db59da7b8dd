"""``/users``: people and API tokens, for administrators."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from collector import api_tokens, login
from collector.access.roles import Role
from collector.console.render import page
from collector.security import needs, record
from collector.site import Site, Who
from telemetry.errors import Permanent

DAY_S = 86400
INVITATION_S = 3 * DAY_S


async def every(request: web.Request, site: Site, _who: Who) -> web.StreamResponse:
    return await _page(request, site)


async def add_user(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """Make a user, and a link with which the person logs in once and sets a password."""
    given = await request.post()
    name, role = str(given.get("name", "")), _role(str(given.get("role", "")))

    def make() -> str:
        site.users.create(name, role, by=who.name)
        return login.create(site.services.store, site.services.clock, name, INVITATION_S)

    return await _done(request, site, who, "user-create", f"{name} {role.value}", make, kind="link")


async def change_user(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """Role, disabled, or a new login link; each ends the user's sessions."""
    given = await request.post()
    name, act = request.match_info["user"], str(given.get("act", ""))

    def change() -> str:
        if act == "role":
            site.users.set_role(name, _role(str(given.get("role", ""))))
        elif act in ("disable", "enable"):
            site.users.set_disabled(name, act == "disable")
        elif act == "link" and site.users.get(name) is not None:
            return login.create(site.services.store, site.services.clock, name, INVITATION_S)
        else:
            raise Permanent("bad_request", f"{act!r} is not something that can be done to a user")
        return ""

    answer = await _done(request, site, who, f"user-{act[:16]}", name, change, kind="link")
    site.sessions.forget(name)
    return answer


async def add_token(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    given = await request.post()
    name, role = str(given.get("name", "")), _role(str(given.get("role", "")))
    days = str(given.get("days", "90"))
    if not days.isdecimal() or not 1 <= int(days) <= 1826:
        return await _page(request, site, 400, "A token lives for 1 to 1826 days")

    def make() -> str:
        return api_tokens.create(site.services.store, site.services.clock, role, name, int(days) * DAY_S, who.name)

    return await _done(request, site, who, "token-create", f"{name} {role.value}", make, kind="token")


async def revoke_token(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    token = request.match_info["token"]

    def revoke() -> str:
        api_tokens.revoke(site.services.store, token)
        return ""

    return await _done(request, site, who, "token-revoke", token, revoke, kind="")


async def _done(
    request: web.Request, site: Site, who: Who, action: str, detail: str, change: Any, kind: str
) -> web.StreamResponse:
    try:
        secret = await site.answers.ask(change)
    except Permanent as error:
        await record(request, site, action, "failure", who, f"{detail}: {error.reason}")
        return await _page(request, site, 400, error.detail)
    await record(request, site, action, "success", who, detail)
    if not secret:
        raise web.HTTPSeeOther("/users")
    shown = f"{request.scheme}://{request.host}{login.PATH}{secret}" if kind == "link" else secret
    return await _page(request, site, 200, "", shown, kind)


async def _page(
    request: web.Request, site: Site, status: int = 200, mistake: str = "", secret: str = "", kind: str = ""
) -> web.Response:
    people = await site.answers.ask(site.users.all)
    tokens = await site.answers.ask(lambda: api_tokens.tokens(site.services.store))
    return page(
        request, "users.html", status, people=people, tokens=tokens, mistake=mistake, secret=secret, secret_kind=kind
    )


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError as error:
        raise Permanent("bad_role", f"roles are {', '.join(Role)}") from error


ROUTES = (
    web.get("/users", needs(Role.ADMIN, every)),
    web.post("/users", needs(Role.ADMIN, add_user)),
    web.post("/users/{user}", needs(Role.ADMIN, change_user)),
    web.post("/tokens", needs(Role.ADMIN, add_token)),
    web.post("/tokens/{token}/revoke", needs(Role.ADMIN, revoke_token)),
)
