"""Log in by password or one-time link, log out, change one's password, and choose language, theme and time zone."""

from __future__ import annotations

import secrets

from aiohttp import web

from collector import login
from collector.access.roles import Role
from collector.access.throttle import network_of
from collector.access.users import User
from collector.console.render import page
from collector.console.view import COOKIES, LANGUAGES, THEMES, ZONES
from collector.security import needs, record, too_many
from collector.site import NONCE_COOKIE, SITE, WHO, Site, Who, client_ip, session_cookie
from telemetry.errors import Permanent

YEAR_S = 365 * 86400
CHOICES = {"language": LANGUAGES, "theme": THEMES, "zone": tuple(ZONES)}


async def form(request: web.Request) -> web.StreamResponse:
    """The login page; it plants the secret that its form must bring back."""
    if WHO in request:
        raise web.HTTPSeeOther(_next(request.query.get("next", "")))
    return _login_page(request)


async def submit(request: web.Request) -> web.StreamResponse:
    """Name and password. What is wrong of the two is not said."""
    site = request.app[SITE]
    given = await request.post()
    name, password = str(given.get("name", ""))[:64], str(given.get("password", ""))
    network = network_of(client_ip(request))
    wait = site.by_network.take(network) or site.by_account.take(f"{name.lower()}")
    if wait:
        await record(request, site, "login-throttled", "failure", None, name=name)
        return too_many(wait, request)
    user = await site.users.check(name, password)
    if user is None:
        await record(request, site, "login", "failure", None, name=name)
        site.services.report.count("tengwang_logins_total", outcome="failure")
        return _login_page(request, 401, "Name or password is wrong", str(given.get("next", "")))
    site.by_account.forget(name.lower())
    return await _enter(request, site, user, _next(str(given.get("next", ""))), "password")


async def by_link(request: web.Request) -> web.StreamResponse:
    """A one-time link. A prefetching browser or chat preview does not use it up."""
    site = request.app[SITE]
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        raise web.HTTPNoContent
    if wait := site.by_network.take(network_of(client_ip(request))):
        return too_many(wait, request)
    services, token = site.services, request.match_info["token"]
    try:
        user = await site.answers.ask(lambda: login.redeem(services.store, site.users, services.clock, token))
    except Permanent as error:
        await record(request, site, "login-link", "failure", None, error.reason)
        return _login_page(request, 403, "This login link was used already or has expired")
    return await _enter(request, site, user, "/" if user.password_hash else "/account", "link")


async def leave(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    await site.answers.ask(lambda: site.sessions.end(who.session))
    await record(request, site, "logout", "success", who)
    answer = web.HTTPSeeOther("/login", headers={"Clear-Site-Data": '"cache"'})
    answer.del_cookie(session_cookie(request), path="/", secure=request.secure, httponly=True, samesite="Lax")
    raise answer


async def account(request: web.Request, _site: Site, _who: Who) -> web.StreamResponse:
    return page(request, "account.html", mistake="", done=request.query.get("done", ""))


async def set_password(request: web.Request, site: Site, who: Who) -> web.StreamResponse:
    """A new password ends every other session of this user, and gives this one a new token."""
    given = await request.post()
    old, new, again = (str(given.get(name, "")) for name in ("old", "new", "again"))
    if wait := site.by_account.take(who.name):
        return too_many(wait, request)
    if who.has_password and await site.users.check(who.name, old) is None:
        await record(request, site, "password-change", "failure", who)
        return page(request, "account.html", 403, mistake="The present password is wrong", done="")
    if new != again:
        return page(request, "account.html", 400, mistake="The two new passwords differ", done="")
    try:
        user = await site.answers.ask(lambda: site.users.set_password(who.name, new))
    except Permanent as error:
        return page(request, "account.html", 400, mistake="A password has 10 to 256 characters", done=error.reason)
    site.sessions.forget(who.name)
    await record(request, site, "password-change", "success", who)
    return await _enter(request, site, user, "/account?done=password", "password-change")


async def prefer(request: web.Request) -> web.StreamResponse:
    """Language, theme and time zone, kept in the browser."""
    given = await request.post()
    answer = web.HTTPSeeOther(_next(str(given.get("next", ""))))
    for name, allowed in CHOICES.items():
        value = str(given.get(name, ""))
        if value in allowed:
            answer.set_cookie(COOKIES[name], value, max_age=YEAR_S, path="/", samesite="Lax", secure=request.secure)
    raise answer


async def _enter(request: web.Request, site: Site, user: User, target: str, how: str) -> web.StreamResponse:
    old = request.get(WHO)
    if old is not None and old.session:
        await site.answers.ask(lambda: site.sessions.end(old.session))
    token, session = await site.answers.ask(lambda: site.sessions.start(user, client_ip(request)))
    who = Who(user.name, user.role, "new", session.csrf)
    await record(request, site, "login", "success", who, how)
    site.services.report.count("tengwang_logins_total", outcome="success")
    answer = web.HTTPSeeOther(target)
    answer.set_cookie(
        session_cookie(request),
        token,
        max_age=site.sessions.lifetimes.absolute_s,
        path="/",
        httponly=True,
        secure=request.secure,
        samesite="Lax",
    )
    answer.del_cookie(NONCE_COOKIE, path="/")
    raise answer


def _login_page(request: web.Request, status: int = 200, mistake: str = "", target: str = "") -> web.Response:
    nonce = request.cookies.get(NONCE_COOKIE, "")
    if not 20 <= len(nonce) <= 64:
        nonce = secrets.token_urlsafe(24)
    after = _next(target or request.query.get("next", ""))
    answer = page(request, "login.html", status, mistake=mistake, nonce=nonce, after=after)
    answer.set_cookie(NONCE_COOKIE, nonce, path="/", httponly=True, samesite="Strict", secure=request.secure)
    return answer


def _next(target: str) -> str:
    """A path of our own and nothing else: no scheme, no host, no backslash, no login page again."""
    own = target.startswith("/") and not target.startswith(("//", "/\\", "/login")) and target.isprintable()
    return target if own and "\\" not in target else "/"


ROUTES = (
    web.get("/login", form),
    web.post("/login", submit),
    web.get(login.PATH + "{token}", by_link),
    web.post("/logout", needs(Role.VIEWER, leave)),
    web.get("/account", needs(Role.VIEWER, account)),
    web.post("/account/password", needs(Role.VIEWER, set_password)),
    web.post("/preferences", prefer),
)
