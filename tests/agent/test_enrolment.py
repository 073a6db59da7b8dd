"""Enrolment and renewal against a real TLS server on [::1]; identity files; the clone that is refused."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent import enrolment, identity, keys, tls
from agent.home import Home
from agent.host_identity import this_host
from agent.link import Link
from telemetry.clock import ManualClock
from telemetry.enrol import EnrolRequest, Host, RenewRequest, Token
from telemetry.errors import ConfigError, Permanent, Transient
from tests.agent.tls_site import Authority, Listener, Reply, Request

SECRET = "s3cret-s3cret-s3cret-s3cret"
HOST = Host("m1", "bureau", ("02:00:00:00:00:01", "02:00:00:00:00:02"), "uuid-1")
LIFE = 30 * 86_400_000


class Collector:
    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.clock = ManualClock()
        self.agents: list[EnrolRequest] = []
        self.renewals: list[tuple[str, RenewRequest]] = []
        self.say: Reply | None = None
        self.shown_ca = self.authority.pem
        self.listener = Listener(self.authority, folder, self.answer)
        self.url = self.listener.url
        self.token = str(Token("0123456789ab", SECRET, keys.pin_of(self.authority.pem)))

    def answer(self, request: Request) -> Reply:
        if request.path == "/agent/v1/ca":
            return Reply(200, self.shown_ca.encode())
        if self.say is not None:
            return self.say
        if request.path == "/agent/v1/enrol":
            asked = msgspec.json.decode(request.body, type=EnrolRequest)
            self.agents.append(asked)
            return self.identity(f"agent-{len(self.agents)}", asked.csr)
        renewal = msgspec.json.decode(request.body, type=RenewRequest)
        self.renewals.append((request.peer, renewal))
        return self.identity(request.peer, renewal.csr)

    def identity(self, agent: str, csr: str) -> Reply:
        body = {
            "agent": agent, "unit": "u1", "certificate": self.authority.sign(csr, agent), "ca": self.authority.pem,
            "not_after_ms": self.clock.now_ms() + LIFE, "collectors": [self.url],
        }  # fmt: skip
        return Reply(200, body)

    @property
    def heard(self) -> bytes:
        """Everything that ever reached it."""
        return b"".join(r.body + repr(r.headers).encode() + r.path.encode() for r in self.listener.requests)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    yield made
    made.listener.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "agent")


def enrol(home: Home, collector: Collector, token: str = "", host: Host = HOST) -> identity.Enrolled:
    return enrolment.enrol(home, collector.url, token or collector.token, "", host, collector.clock)


def test_a_token_becomes_an_identity_that_the_collector_accepts(home: Home, collector: Collector) -> None:
    enrolled = enrol(home, collector)
    assert identity.read(home) == enrolled
    assert (enrolled.agent, enrolled.name, enrolled.unit) == ("agent-1", "bureau", "u1")
    link = Link(collector.url, tls.client_context(home), 5)
    link.request("GET", "/agent/v1/ca")
    link.close()
    assert collector.listener.requests[-1].peer == "agent-1"


def test_the_key_is_p256_made_here_and_never_sent(home: Home, collector: Collector) -> None:
    enrol(home, collector)
    key = serialization.load_pem_private_key(identity.key_file(home).read_bytes(), None)
    request = x509.load_pem_x509_csr(collector.agents[0].csr.encode())
    assert request.is_signature_valid
    assert key.public_key() == request.public_key()
    assert b"PRIVATE" not in collector.heard
    assert getattr(key, "curve").name == "secp256r1"  # noqa: B009 - the type is a union of all keys


def test_only_the_owner_may_read_the_identity(home: Home, collector: Collector) -> None:
    enrol(home, collector)
    assert {stat.S_IMODE(p.stat().st_mode) for p in home.identity.iterdir()} == {0o600}
    assert stat.S_IMODE(home.identity.stat().st_mode) == 0o700


def test_a_collector_with_another_ca_hears_no_secret(home: Home, collector: Collector) -> None:
    token = str(Token("0123456789ab", SECRET, keys.pin_of(Authority("the real one").pem)))
    with pytest.raises(Permanent, match="nothing was sent"):
        enrol(home, collector, token)
    assert SECRET.encode() not in collector.heard
    assert not home.identity.exists()


def test_a_ca_that_is_only_shown_and_did_not_sign_the_server_hears_no_secret(home: Home, collector: Collector) -> None:
    """Someone in the middle can pass the real CA certificate on; he can not have a server certificate of it."""
    real = Authority("the real one")
    collector.shown_ca = real.pem
    with pytest.raises(Transient, match="certificate is not good"):
        enrol(home, collector, str(Token("0123456789ab", SECRET, keys.pin_of(real.pem))))
    assert SECRET.encode() not in collector.heard


@pytest.mark.parametrize("text", ["", "tw1.abc", f"tw1.0123456789ab.{SECRET}", "x" * 500])
def test_a_token_that_is_none_is_refused_before_anything_is_sent(home: Home, collector: Collector, text: str) -> None:
    with pytest.raises(Permanent, match="bad_token") as error:
        enrol(home, collector, text or "-")
    assert collector.listener.requests == []
    assert SECRET not in str(error.value)


def test_what_the_collector_refuses_is_said_in_its_words_and_without_the_secret(
    home: Home, collector: Collector
) -> None:
    collector.say = Reply(403, {"reason": "token_used", "detail": "make a new one"})
    with pytest.raises(Permanent, match="token_used: make a new one") as error:
        enrol(home, collector)
    assert SECRET not in repr(error.value)
    collector.say = Reply(503, {"reason": "busy"})
    with pytest.raises(Transient, match="busy"):
        enrol(home, collector)


def test_enrolling_again_replaces_the_identity(home: Home, collector: Collector) -> None:
    enrol(home, collector)
    first = identity.key_file(home).read_bytes()
    assert enrol(home, collector).agent == "agent-2"
    assert identity.key_file(home).read_bytes() != first
    assert identity.read(home).agent == "agent-2"


def test_renewal_makes_a_new_key_and_shows_the_old_certificate(home: Home, collector: Collector) -> None:
    before = enrol(home, collector)
    first = identity.key_file(home).read_bytes()
    collector.clock.advance(86_400 * 15)
    after = enrolment.renew(home, HOST, collector.clock)
    assert [peer for peer, _ in collector.renewals] == ["agent-1"]
    assert after.not_after_ms == before.not_after_ms + 15 * 86_400_000
    assert identity.key_file(home).read_bytes() != first
    assert before.renew_at_ms == before.issued_ms + LIFE // 2


def test_a_clone_is_refused_with_what_to_do(home: Home, collector: Collector) -> None:
    enrolled = enrol(home, collector)
    change = msgspec.structs.replace
    identity.check_host(enrolled, HOST, home)
    identity.check_host(enrolled, change(HOST, name="renamed"), home)
    identity.check_host(enrolled, change(HOST, macs=(HOST.macs[1], "02:00:00:00:00:09")), home)
    identity.check_host(enrolled, change(HOST, product_uuid=""), home)
    for other in (
        change(HOST, macs=("02:00:00:00:00:09",)),
        change(HOST, machine_id="m2"),
        change(HOST, product_uuid="uuid-2"),
    ):
        with pytest.raises(ConfigError, match=r"made on another host.*cloned.*tengwang-agent enrol"):
            identity.check_host(enrolled, other, home)


def test_an_agent_that_is_not_enrolled_is_told_how(home: Home) -> None:
    with pytest.raises(ConfigError, match="token create --enrol"):
        identity.read(home)


def test_a_damaged_identity_is_said(home: Home, collector: Collector) -> None:
    enrol(home, collector)
    (home.identity / identity.RECORD).write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        identity.read(home)


def test_two_agents_never_share_a_home(tmp_path: Path) -> None:
    first, second = Home(tmp_path / "h"), Home(tmp_path / "h")
    first.lock()
    with pytest.raises(ConfigError, match="another tengwang-agent"):
        second.lock()
    first.unlock()
    second.lock()
    second.unlock()


def test_this_host_is_the_same_as_itself_and_its_macs_are_real(tmp_path: Path) -> None:
    host = this_host()
    assert host.same_as(this_host())
    assert host.name
    assert all(len(mac) == 17 and mac != "00:00:00:00:00:00" for mac in host.macs)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef\n")
    assert this_host(tmp_path).machine_id == "0123456789abcdef"


def test_enrolling_a_clone_leaves_the_original_its_events_and_the_same_host_keeps_its_own(
    home: Home, collector: Collector
) -> None:
    enrol(home, collector)
    waiting = home.spool / "8-1.page"
    waiting.write_bytes(b"x")
    enrol(home, collector)
    assert waiting.exists()
    enrol(home, collector, host=msgspec.structs.replace(HOST, machine_id="m2"))
    assert not waiting.exists()
    assert home.spool.is_dir()
