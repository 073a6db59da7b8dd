"""Errors of the API as RFC 9457 ``application/problem+json``."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

CONTENT_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """``type`` is ``urn:tengwang:problem:<reason>``; ``detail`` says what to write or do instead."""

    type: str
    title: str
    status: int
    detail: str = ""


def problem(status: int, reason: str, detail: str = "", headers: dict[str, str] | None = None) -> web.Response:
    """The answer for an error."""
    body = Problem(f"urn:tengwang:problem:{reason}", HTTPStatus(status).phrase, status, detail)
    return web.Response(status=status, body=msgspec.json.encode(body), content_type=CONTENT_TYPE, headers=headers)
