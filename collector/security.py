"""What holds for every answer of the web application: headers, who asks, forged requests, and errors.

The content policy allows only our own files: no inline script, no inline style, no frames, nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from collector import api_tokens, audit, login
from collector.access.roles import Role
from collector.access.throttle import network_of
from collector.problem import problem
from collector.site import NONCE_COOKIE, SITE, WHO, Site, Who, client_ip, session_cookie
from telemetry.errors import Permanent, Transient

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY = 64 * 1024
ErrorPage = Callable[[web.Request, int, str, str], web.Response]
ERROR_PAGE: web.AppKey[ErrorPage] = web.AppKey("error_page")
Page = Callable[[web.Request, Site, Who], Awaitable[web.StreamResponse]]


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """A signal of the application: runs for every answer, also for errors and streams."""
    response.headers.setdefault("Cache-Control", "no-store")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    response.headers.pop("Server", None)


def is_api(request: web.BaseRequest) -> bool:
    return request.path.startswith("/api/")


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No exception leaves as a traceback; the API answers with a problem document."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status >= 400:
            kept = {k: v for k, v in error.headers.items() if k in ("Allow", "Retry-After", "WWW-Authenticate")}
            return _refused(request, error.status, error.reason.lower().replace(" ", "_"), error.text or "", kept)
        raise
    except Permanent as error:
        request.app[SITE].services.report.count("tengwang_console_refused_total", reason=error.reason)
        return _refused(request, 400, error.reason, error.detail, {})
    except Transient as error:
        return _refused(request, 503, "unavailable", str(error), {"Retry-After": "2"})
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: counted, logged, and the program goes on
        report = request.app[SITE].services.report
        report.count("tengwang_console_errors_total")
        report.error("console-error", f"{request.method} {_told(request)}: {type(error).__name__}: {error}")
        return _refused(request, 500, "internal", "an error was logged", {})


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, by bearer token or session cookie; refuse a forged change."""
    site = request.app[SITE]
    bearer = request.headers.get("Authorization", "")
    if bearer:
        request[WHO] = await _by_token(request, site, bearer)
    elif token := request.cookies.get(session_cookie(request), ""):
        active = await site.answers.ask(lambda: site.sessions.find(token)) if len(token) < 128 else None
        if active is not None:
            request[WHO] = Who(
                active.user.name, active.user.role, active.key, active.session.csrf, bool(active.user.password_hash)
            )
    stranger = is_api(request) and WHO not in request  # has nothing that could be misused, and is told to log in
    if request.method not in SAFE and request.match_info.http_exception is None and not stranger:
        await _refuse_forgery(request)
    return await handler(request)


def needs(role: Role, page: Page) -> Handler:
    """A handler that only this role may use; others are sent to the login page, or refused."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        who = request.get(WHO)
        if who is None:
            raise web.HTTPSeeOther("/login?next=" + _local(request.path_qs))
        if not who.role.allows(role):
            site = request.app[SITE]
            await record(request, site, "access-denied", "failure", who)
            return _refused(request, 403, "forbidden", f"this needs the role {role.value}", {})
        return await page(request, request.app[SITE], who)

    return guarded


async def record(
    request: web.Request, site: Site, action: str, outcome: str, who: Who | None, detail: str = "", name: str = ""
) -> None:
    """Write one line of the audit: who did what from where, and how it went."""
    await audit.record(
        site.services,
        action=action,
        outcome=outcome,
        user=who.name if who else name[:64],
        roles=[who.role.value] if who else [],
        client=client_ip(request),
        method=request.method,
        path=_told(request),
        message=detail,
    )


def _told(request: web.Request) -> str:
    """The path as logs and the audit keep it: what follows the path of a login link is a secret."""
    return f"{login.PATH}..." if request.path.startswith(login.PATH) else request.path[:256]


def too_many(wait_s: float, request: web.Request) -> web.StreamResponse:
    """429 with Retry-After."""
    seconds = str(max(1, math.ceil(wait_s)))
    return _refused(request, 429, "too_many_tries", f"try again in {seconds} s", {"Retry-After": seconds})


async def _by_token(request: web.Request, site: Site, header: str) -> Who:
    scheme, _, text = header.partition(" ")
    challenge = {"WWW-Authenticate": 'Bearer realm="tengwang"'}
    network = network_of(client_ip(request))
    token = None
    if scheme.lower() == "bearer" and len(text) < 128:
        store, clock = site.services.store, site.services.clock
        token = await site.answers.ask(lambda: api_tokens.authenticate(store, clock, text.strip()))
    if token is None:
        if wait := site.by_token.take(network):
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(math.ceil(wait))}, text="too many bad tokens")
        await record(request, site, "token-refused", "failure", None)
        raise web.HTTPUnauthorized(headers=challenge, text="this token is not known, was revoked, or has expired")
    return Who(f"token:{token.name}", token.role)


async def _refuse_forgery(request: web.Request) -> None:
    """A change must come from our own page: same origin by the browser's word, and with the session's secret."""
    who = request.get(WHO)
    if who is not None and not who.session:
        return  # a bearer token is never sent by a browser on its own
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise web.HTTPForbidden(text="this request came from another site")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="this request came from another site")
    expected = who.csrf if who is not None else request.cookies.get(NONCE_COOKIE, "")
    given = request.headers.get("X-CSRF-Token", "")
    if not given and request.content_type == "application/x-www-form-urlencoded":
        given = str((await request.post()).get("csrf", ""))
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise web.HTTPForbidden(text="the form has expired; go back, reload the page and try again")


def _local(target: str) -> str:
    return quote(target if len(target) < 1024 else "/", safe="")


def _refused(
    request: web.Request, status: int, reason: str, detail: str, headers: dict[str, str]
) -> web.StreamResponse:
    if is_api(request):
        return problem(status, reason, detail, headers)
    answer = request.app[ERROR_PAGE](request, status, reason, detail)
    answer.headers.update(headers)
    return answer
