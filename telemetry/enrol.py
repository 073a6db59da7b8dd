"""What agent and collector say to each other at enrolment and renewal, and how an enrolment token is written.

Paths on the collector's agent listener (TLS; all but the first two need the agent's certificate):

- ``GET  /agent/v1/ca``      the CA certificate, PEM; the agent holds it against the pin in its token
- ``POST /agent/v1/enrol``   EnrolRequest -> Identity
- ``POST /agent/v1/renew``   RenewRequest -> Identity
- ``GET  /agent/v1/work``    Work as JSON, with ETag; 304 where If-None-Match holds
- ``GET  /agent/v1/orders``  SignedOrders as JSON (telemetry/order.py), with ETag; 304 where If-None-Match holds
- ``POST /agent/v1/events``  a batch (telemetry/wire.py) -> Ack

Every refusal carries a wire.Refusal as JSON; 429 and 503 carry Retry-After.
"""

from __future__ import annotations

import re

import msgspec

from telemetry.errors import Permanent

CA_PATH = "/agent/v1/ca"
ENROL_PATH = "/agent/v1/enrol"
RENEW_PATH = "/agent/v1/renew"
WORK_PATH = "/agent/v1/work"
EVENTS_PATH = "/agent/v1/events"


class Host(msgspec.Struct, frozen=True):
    """What tells one host from another. Same host: same machine id and a MAC in common (or no MACs, same name)."""

    machine_id: str
    name: str
    macs: tuple[str, ...] = ()
    product_uuid: str = ""

    def same_as(self, other: Host) -> bool:
        if self.machine_id != other.machine_id:
            return False
        if self.macs and other.macs:
            return bool(set(self.macs) & set(other.macs))
        return self.name == other.name


class EnrolRequest(msgspec.Struct, frozen=True):
    token: str
    csr: str
    host: Host
    version: str
    name: str = ""


class RenewRequest(msgspec.Struct, frozen=True):
    csr: str
    host: Host
    version: str


class Identity(msgspec.Struct, frozen=True):
    """Who the agent is from now on. Certificates are PEM; ``collectors`` are base URLs to fail over between."""

    agent: str
    unit: str
    certificate: str
    ca: str
    not_after_ms: int
    collectors: tuple[str, ...] = ()


class Token(msgspec.Struct, frozen=True):
    """``tw1.<id>.<secret>.<pin>``; the pin is the hex SHA-256 of the CA's SubjectPublicKeyInfo (DER)."""

    id: str
    secret: str
    pin: str

    def __str__(self) -> str:
        return f"tw1.{self.id}.{self.secret}.{self.pin}"

    def __repr__(self) -> str:
        return f"Token(id={self.id!r}, secret hidden)"


def parse_token(text: str) -> Token:
    """Raises Permanent with reason ``bad_token``."""
    found = re.fullmatch(r"tw1\.([0-9a-f]{8,32})\.([A-Za-z0-9_-]{20,64})\.([0-9a-f]{64})", text.strip())
    if not found:
        raise Permanent("bad_token", "an enrolment token looks like tw1.<id>.<secret>.<pin>; copy it whole")
    return Token(*found.groups())
