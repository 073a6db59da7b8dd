"""The web application: console, HTTP API and metrics on one listener. collector/serve.py starts it."""

from __future__ import annotations

from aiohttp import web

from collector import api, console, metrics
from collector.access.sessions import Lifetimes, Sessions
from collector.access.throttle import Throttle
from collector.access.users import Users
from collector.answers import Answers
from collector.console.render import error_page
from collector.security import ERROR_PAGE, MAX_BODY, errors, identify, set_headers
from collector.services import Services
from collector.site import SITE, WHO, Site, client_ip

LOGINS_PER_NETWORK = (20, 6.0)
"""At once, and seconds until one more: an office behind one address still gets in, a guesser makes 10 a minute."""
LOGINS_PER_ACCOUNT = (8, 30.0)
BAD_TOKENS = (20, 3.0)


def application(services: Services, lifetimes: Lifetimes | None = None) -> web.Application:
    """Everything that listens for people and programs; agents have a listener of their own."""
    clock = services.clock
    users = Users(services.store, clock)
    site = Site(
        services=services,
        users=users,
        sessions=Sessions(services.store, users, clock, lifetimes or Lifetimes()),
        answers=Answers(clock),
        by_network=Throttle(clock, *LOGINS_PER_NETWORK),
        by_account=Throttle(clock, *LOGINS_PER_ACCOUNT),
        by_token=Throttle(clock, *BAD_TOKENS),
    )
    app = web.Application(middlewares=[errors, identify], client_max_size=MAX_BODY)
    app[SITE] = site
    app[ERROR_PAGE] = error_page
    app.on_response_prepare.append(set_headers)
    app.on_cleanup.append(_close)
    app.add_routes([*api.routes(), *console.routes(), web.get("/metrics", show_metrics, allow_head=False)])
    return app


async def show_metrics(request: web.Request) -> web.StreamResponse:
    """For Prometheus: from this host without a login; from elsewhere, and through a proxy, with a token."""
    local = client_ip(request) in ("127.0.0.1", "::1")
    proxied = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "Via"))
    if WHO not in request and (proxied or not local):
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="tengwang"'}, text="send a token")
    site = request.app[SITE]
    body, content_type = await site.answers.ask(lambda: metrics.render(site.services))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _close(app: web.Application) -> None:
    app[SITE].answers.close()
