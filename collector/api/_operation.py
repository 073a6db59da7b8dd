"""What an API operation is: a path, what it takes, what it answers, who may ask. The OpenAPI text is made from it."""

from __future__ import annotations

import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec
from aiohttp import web

from collector.access.roles import Role
from collector.problem import problem
from collector.site import SITE, WHO, Site, Who
from telemetry.errors import Permanent

PREFIX = "/api/v1"
STATUS = {
    "not_found": 404,
    "unknown_incident": 404,
    "unknown_suppression": 404,
    "not_allowed": 409,
    "not_proposed": 409,
    "not_in_force": 409,
    "protected": 409,
    "unsupported_media_type": 415,
}
P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operation that takes no parameters."""


@dataclass(frozen=True)
class Operation(Generic[P, R]):
    """``GET path``. Parameters named in the path come from it, the others from the query string; of ``POST path``, from
    a JSON object.

    ``handle`` may raise Permanent (400, or as ``STATUS`` says) and Transient (503).
    """

    path: str
    name: str
    tag: str
    summary: str
    takes: type[P]
    answers: type[R]
    handle: Callable[[Site, Who, P], Awaitable[R]]
    role: Role = Role.VIEWER
    method: Literal["GET", "POST"] = "GET"

    def route(self) -> web.RouteDef:
        if self.method == "POST":
            return web.post(PREFIX + self.path, self._serve)
        return web.get(PREFIX + self.path, self._serve, allow_head=False)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        who = request.get(WHO)
        if who is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="tengwang"'}
            return problem(401, "unauthorized", "log in, or send a token: Authorization: Bearer twa...", challenge)
        if not who.role.allows(self.role):
            return problem(403, "forbidden", f"this needs the role {self.role.value}")
        try:
            given = self._parameters(request) if self.method == "GET" else await self._body(request)
            answer = await self.handle(request.app[SITE], who, given)
        except Permanent as error:
            return problem(STATUS.get(error.reason, 400), error.reason, error.detail)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _parameters(self, request: web.Request) -> P:
        given: dict[str, Any] = dict(request.match_info)
        fields = {f.encode_name: f for f in msgspec.structs.fields(self.takes)}
        for name in request.query:
            if name not in fields or name in request.match_info:
                known = ", ".join(fields) or "none"
                raise Permanent("unknown_parameter", f"there is no parameter {name!r}; known: {known}")
            values = request.query.getall(name)
            if _many(fields[name].type):
                given[name] = values
            elif len(values) > 1:
                raise Permanent("repeated_parameter", f"{name!r} may be given once")
            else:
                given[name] = values[0]
        try:
            return msgspec.convert(given, self.takes, strict=False)
        except msgspec.ValidationError as error:
            raise Permanent("bad_parameter", str(error)) from error

    async def _body(self, request: web.Request) -> P:
        if request.query:
            raise Permanent("unknown_parameter", "the parameters of a change are a JSON object in its body")
        if request.content_type != "application/json":
            raise Permanent("unsupported_media_type", "send application/json")
        try:
            given = msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Permanent("bad_parameter", f"the body is not a JSON object: {error}") from error
        known = {f.encode_name for f in msgspec.structs.fields(self.takes)}
        for name in given:
            if name not in known or name in request.match_info:
                raise Permanent("unknown_parameter", f"there is no parameter {name[:64]!r}; known: {', '.join(known)}")
        try:
            return msgspec.convert({**given, **request.match_info}, self.takes)
        except msgspec.ValidationError as error:
            raise Permanent("bad_parameter", str(error)) from error


def _many(kind: Any) -> bool:
    """Is this parameter a tuple, so that it may be given several times?"""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_origin(kind) is tuple
