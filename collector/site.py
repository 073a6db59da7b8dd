"""What every page and API handler may use, and who is asking."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from aiohttp import web

from collector.access.roles import Role
from collector.access.sessions import Sessions
from collector.access.throttle import Throttle
from collector.access.users import Users
from collector.answers import Answers
from collector.services import Services


@dataclass(frozen=True)
class Site:
    """One web application. The throttles bound logins: per source network, per account, and bad tokens per network."""

    services: Services
    users: Users
    sessions: Sessions
    answers: Answers
    by_network: Throttle
    by_account: Throttle
    by_token: Throttle


@dataclass(frozen=True)
class Who:
    """Who asks. ``session`` is the store key of a browser session, empty for a bearer token."""

    name: str
    role: Role
    session: str = ""
    csrf: str = ""
    has_password: bool = True


SITE = web.AppKey("site", Site)
WHO = web.RequestKey("who", Who)
NONCE_COOKIE = "tengwang-form"


def session_cookie(request: web.BaseRequest) -> str:
    """The cookie's name: over TLS with the ``__Host-`` prefix, so no other host or port's page can set it."""
    return "__Host-tengwang" if request.secure else "tengwang"


def client_ip(request: web.BaseRequest) -> str:
    """The peer's address without zone; ``::`` where there is none. Forwarded headers are not believed."""
    peer = (request.remote or "").partition("%")[0]
    try:
        ip = ipaddress.ip_address(peer)
    except ValueError:
        return "::"
    return str(getattr(ip, "ipv4_mapped", None) or ip)
