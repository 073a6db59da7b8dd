"""Enrolment and renewal: from a token to an identity. The key is made here and never leaves the host.

The token carries a pin of the collector's CA. The CA is fetched first, over TLS that nobody vouches for yet; only when
its public key has the pinned hash is a second connection made, verified by that CA, and the token sent over it.
"""

from __future__ import annotations

import hmac
import shutil

import msgspec

from agent import identity, keys, tls
from agent.home import Home
from agent.link import Answer, Link
from telemetry import __version__
from telemetry.clock import Clock
from telemetry.enrol import CA_PATH, ENROL_PATH, RENEW_PATH, EnrolRequest, Host, Identity, RenewRequest, parse_token
from telemetry.errors import ConfigError, Permanent, Transient

JSON = {"Content-Type": "application/json"}


def enrol(
    home: Home, url: str, token_text: str, name: str, host: Host, clock: Clock, timeout: float = 30
) -> identity.Enrolled:
    """Raises Permanent (bad_token, wrong_collector, or what the collector says), Transient, ConfigError (the URL)."""
    token = parse_token(token_text)
    ca = _fetch_ca(url, timeout)
    if not hmac.compare_digest(keys.pin_of(ca), token.pin):
        raise Permanent("wrong_collector", f"{url} is not the collector that made this token; nothing was sent to it")
    key = keys.make_key()
    request = EnrolRequest(str(token), keys.make_csr(key, name or host.name), host, __version__, name)
    link = Link(url, tls.trusting(ca), timeout)
    try:
        issued = _issued(link.request("POST", ENROL_PATH, msgspec.json.encode(request), JSON))
    finally:
        link.close()
    enrolled = identity.Enrolled(
        agent=issued.agent,
        name=name or host.name,
        unit=issued.unit,
        host=host,
        collectors=issued.collectors or (url.rstrip("/"),),
        issued_ms=clock.now_ms(),
        not_after_ms=issued.not_after_ms,
    )
    if _is_copy(home, host):
        shutil.rmtree(home.spool, ignore_errors=True)  # the original has the same events, and sends them
    identity.save(home, key, enrolled, issued)
    return enrolled


def _is_copy(home: Home, host: Host) -> bool:
    """Was the former identity, if there is one, made on another host?"""
    try:
        former = identity.read(home)
    except ConfigError:
        return False
    try:
        identity.check_host(former, host, home)
    except ConfigError:
        return True
    return False


def renew(home: Home, host: Host, clock: Clock, timeout: float = 30) -> identity.Enrolled:
    """A new key and certificate for the same agent. Tries each collector; raises like ``enrol``."""
    enrolled = identity.read(home)
    key = keys.make_key()
    request = RenewRequest(keys.make_csr(key, enrolled.name), host, __version__)
    context = tls.client_context(home)
    failure: Transient | None = None
    for url in enrolled.collectors:
        link = Link(url, context, timeout)
        try:
            issued = _issued(link.request("POST", RENEW_PATH, msgspec.json.encode(request), JSON))
        except Transient as error:
            failure = error
            continue
        finally:
            link.close()
        renewed = msgspec.structs.replace(
            enrolled,
            unit=issued.unit,
            host=host,
            collectors=issued.collectors or enrolled.collectors,
            issued_ms=clock.now_ms(),
            not_after_ms=issued.not_after_ms,
        )
        identity.save(home, key, renewed, issued)
        return renewed
    raise failure or Transient("no collector is known")


def _fetch_ca(url: str, timeout: float) -> str:
    link = Link(url, tls.unverified(), timeout)
    try:
        answer = link.request("GET", CA_PATH)
    finally:
        link.close()
    if answer.status != 200:
        raise Permanent("not_a_collector", f"{url} answers {answer.status} where a collector shows its CA")
    return answer.body.decode("ascii", errors="replace")


def _issued(answer: Answer) -> Identity:
    if answer.status != 200:
        refusal = answer.refusal()
        if answer.status == 429 or answer.status >= 500:
            raise Transient(f"the collector can not do it now: {refusal.reason} {refusal.detail}".rstrip())
        raise Permanent(refusal.reason, refusal.detail)
    try:
        return msgspec.json.decode(answer.body, type=Identity)
    except msgspec.DecodeError as error:
        raise Transient(f"the collector's answer is not understood: {error}") from error
