"""The agents' listener: who is it, may it, and is there room. Answers only when the pipeline says *stored*.

Identity is the client certificate of the TLS connection and nothing else. A request without a right to be here is
answered before its body is read.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from collector.assignment import Assignments
from collector.audit import Trail
from collector.pipeline import Answer, Delivery, Full, Pipeline
from collector.registry import AgentRecord, Registry
from collector.response.responses import Responses
from collector.standing import Standing
from telemetry import wire
from telemetry.clock import Clock
from telemetry.enrol import (
    CA_PATH,
    ENROL_PATH,
    EVENTS_PATH,
    RENEW_PATH,
    WORK_PATH,
    EnrolRequest,
    RenewRequest,
)
from telemetry.errors import Permanent, Transient
from telemetry.event import canonical_ip
from telemetry.order import ORDERS_PATH
from telemetry.report import Report

MAX_SMALL = 64 * 1024
READ_S = 60.0
BUSY_S = 2
STATUS = {
    "no_certificate": 401,
    "unknown_agent": 401,
    "revoked": 403,
    "superseded": 403,
    "expired": 403,
    "wrong_agent": 403,
    "bad_token": 403,
    "token_expired": 403,
    "token_used": 403,
    "cloned": 409,
    "unsupported_version": 409,
    "too_large": 413,
    "wrong_content_type": 415,
}
"""Every other reason is 400: the content is at fault."""

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """The HTTP side of the agents' listener."""

    def __init__(
        self,
        *,
        registry: Registry,
        pipeline: Pipeline,
        assignments: Assignments,
        responses: Responses,
        standing: Standing,
        trail: Trail,
        clock: Clock,
        report: Report,
    ) -> None:
        self._registry = registry
        self._pipeline = pipeline
        self._assignments = assignments
        self._responses = responses
        self._standing = standing
        self._trail = trail
        self._clock = clock
        self._report = report
        self._reading = 0

    def application(self) -> web.Application:
        app = web.Application(client_max_size=wire.MAX_COMPRESSED, middlewares=[self._answer_errors])
        app.router.add_get(CA_PATH, self.ca)
        app.router.add_post(ENROL_PATH, self.enrol)
        app.router.add_post(RENEW_PATH, self.renew)
        app.router.add_get(WORK_PATH, self.work)
        app.router.add_get(ORDERS_PATH, self.orders)
        app.router.add_post(EVENTS_PATH, self.events)
        return app

    async def ca(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's interface
        """The CA's certificate, for an agent that holds its pin in a token."""
        return web.Response(text=self._registry.ca_pem, content_type="application/x-pem-file")

    async def enrol(self, request: web.Request) -> web.Response:
        peer = client(request)
        wanted = _decode(await self._small(request), EnrolRequest)
        try:
            identity = await asyncio.to_thread(self._registry.enrol, wanted, peer)
        except Permanent as error:
            await asyncio.to_thread(
                self._trail.refusal,
                "enrol-refused",
                error.reason,
                client=peer,
                message=f"{wanted.host.name[:255]!r}: {error.detail}",
            )
            raise
        self._report.count("tengwang_enrolments_total")
        return _json(identity)

    async def renew(self, request: web.Request) -> web.Response:
        agent, serial = await self._authenticate(request)
        wanted = _decode(await self._small(request), RenewRequest)
        try:
            identity = await asyncio.to_thread(self._registry.renew, agent, serial, wanted, client(request))
        except Permanent as error:
            await self._refused(request, error, agent.id)
            raise
        return _json(identity)

    async def work(self, request: web.Request) -> web.Response:
        agent, _ = await self._authenticate(request)
        version, body = await asyncio.to_thread(self._assignments.of, agent)
        tag = f'"{version}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": tag})

    async def orders(self, request: web.Request) -> web.Response:
        """What is meant for this agent and not over. Once it was given out, it is on record as ordered."""
        agent, _ = await self._authenticate(request)
        given = await asyncio.to_thread(self._responses.for_agent, agent.id)
        tag = f'"{given.version}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        if given.orders:
            await asyncio.to_thread(self._responses.fetched, agent.id)
        return web.Response(body=msgspec.json.encode(given), content_type="application/json", headers={"ETag": tag})

    def _orders_of(self, agent: str) -> str:
        """Version of the agent's orders; its batch is stored, so nothing may fail for want of it."""
        try:
            return self._responses.for_agent(agent).version
        except Transient:
            return ""

    async def events(self, request: web.Request) -> web.Response:
        if not self._standing.writable:  # before anything that would ask the store
            raise Transient(self._standing.health.detail)
        agent, _ = await self._authenticate(request)
        if request.content_type != wire.CONTENT_TYPE:
            raise Permanent("wrong_content_type", f"a batch is {wire.CONTENT_TYPE}")
        size = wire.MAX_COMPRESSED if request.content_length is None else request.content_length
        if size > wire.MAX_COMPRESSED:
            raise Permanent("too_large", f"{size} bytes, at most {wire.MAX_COMPRESSED}")
        if not self._pipeline.room(self._reading + size):
            raise Full
        self._reading += size
        try:
            body = await self._body(request)
            answer = Answer()
            header = self._header(body)
            if header is not None:
                await self._heard(request, header, agent)
            count = header.count if header is not None else 0
            self._pipeline.offer(Delivery(agent, body, count, self._clock.now_ms(), answer))
        finally:
            self._reading -= size
        ack = await answer.wait()
        version, _ = await asyncio.to_thread(self._assignments.of, agent)
        orders = await asyncio.to_thread(self._orders_of, agent.id)
        return _json(msgspec.structs.replace(ack, work=version, orders=orders))

    @staticmethod
    def _header(body: bytes) -> wire.Header | None:
        """None where it can not be read: then the pipeline refuses the body, and keeps it aside."""
        try:
            header = wire.read_header(body)
        except Permanent as error:
            if error.reason == "unsupported_version":
                raise
            return None
        return header

    async def _heard(self, request: web.Request, header: wire.Header, agent: AgentRecord) -> None:
        try:
            if header.agent != agent.id:
                raise Permanent("wrong_agent", f"the certificate is agent {agent.id}'s, the batch is another one's")
            self._registry.seen(agent.id, header.instance, client(request))
        except Permanent as error:
            await self._refused(request, error, agent.id)
            raise

    async def _authenticate(self, request: web.Request) -> tuple[AgentRecord, str]:
        """The agent and its certificate's serial. Raises Permanent, audited, before any byte of the body is read."""
        name, serial, not_after_ms = "", "", 0
        try:
            name, serial, not_after_ms = _certificate(request)
            return await asyncio.to_thread(self._registry.authenticate, serial, name, not_after_ms), serial
        except Permanent as error:
            await self._refused(request, error, name)
            raise

    async def _refused(self, request: web.Request, error: Permanent, agent: str) -> None:
        await asyncio.to_thread(
            self._trail.refusal,
            "agent-refused",
            error.reason,
            agent=agent,
            client=client(request),
            method=request.method,
            path=request.path[:256],
            message=error.detail,
        )

    async def _small(self, request: web.Request) -> bytes:
        if request.content_length is None or request.content_length > MAX_SMALL:
            raise Permanent("too_large", f"this request has a Content-Length of at most {MAX_SMALL}")
        return await self._body(request)

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(READ_S):
                return await request.read()
        except TimeoutError as error:
            raise Transient("the body took too long") from error

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Permanent as error:
            self._report.count("tengwang_requests_refused_total", reason=error.reason)
            return _json(wire.Refusal(error.reason, error.detail), STATUS.get(error.reason, 400))
        except Full:
            self._report.count("tengwang_requests_refused_total", reason="busy")
            return _later(429, "busy", "the queue is full", BUSY_S)
        except Transient as error:
            self._report.count("tengwang_requests_refused_total", reason="unavailable")
            return _later(503, "unavailable", str(error), self._standing.retry_s)
        except web.HTTPRequestEntityTooLarge:
            self._report.count("tengwang_requests_refused_total", reason="too_large")
            return _json(wire.Refusal("too_large", f"at most {wire.MAX_COMPRESSED} bytes"), 413)
        except web.HTTPException as error:
            return _json(wire.Refusal("http", error.reason), error.status)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - the program never ends because of what it was sent
            self._report.count("tengwang_request_errors_total")
            self._report.error("receive", f"{request.method} {request.path}: {type(error).__name__}: {error}")
            return _later(503, "internal", "an error was logged on the collector", self._standing.retry_s)


def client(request: web.BaseRequest) -> str:
    """The peer's address; ``::`` where it has none."""
    try:
        return canonical_ip(request.remote or "::")
    except ValueError:
        return "::"


def _certificate(request: web.Request) -> tuple[str, str, int]:
    """Common name, serial and end of the peer's certificate. Raises Permanent ``no_certificate``."""
    found = request.transport.get_extra_info("peercert") if request.transport is not None else None
    if not found:
        raise Permanent("no_certificate", "this path needs the agent's certificate; enrol this host first")
    names = [value for rdn in found["subject"] for key, value in rdn if key == "commonName"]
    serial = f"{int(found['serialNumber'], 16):x}"
    return (names[0] if names else ""), serial, int(ssl.cert_time_to_seconds(found["notAfter"])) * 1000


def _decode(body: bytes, into: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Permanent("not_json", str(error)) from error


def _json(value: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _later(status: int, reason: str, detail: str, seconds: float) -> web.Response:
    answer = _json(wire.Refusal(reason, detail), status)
    answer.headers["Retry-After"] = str(math.ceil(seconds))
    return answer
