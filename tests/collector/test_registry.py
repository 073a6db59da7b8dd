from __future__ import annotations

import threading
from pathlib import Path

import pytest

from collector.audit import Trail
from collector.ca import Authority
from collector.query import Kind, Search
from collector.registry import FRESH_S, Registry
from collector.store import Store, StoreContext
from collector.stores.sqlite import Config, build
from telemetry.clock import ManualClock
from telemetry.enrol import EnrolRequest, Host, Identity, RenewRequest, parse_token
from telemetry.errors import Permanent
from telemetry.report import Report
from tests.collector.running import csr, host


class Desk:
    """A registry on a real store, with a clock that is moved by hand."""

    def __init__(self, directory: Path, collector: str = "c1", store: Store | None = None) -> None:
        self.clock = ManualClock()
        report = Report(self.clock)
        self.store = store or build(Config(), StoreContext(directory, self.clock, report))
        self.authority = Authority.open(directory / "ca", self.clock)
        trail = Trail(self.store, self.clock, report)
        self.registry = Registry(self.store, self.clock, self.authority, trail, collector)

    def token(self, uses: int = 1, ttl_s: int = 3600) -> str:
        return str(self.registry.create_enrol_token("u1", ttl_s, uses, "me"))

    def enrol(self, token: str = "", who: Host | None = None) -> Identity:
        return self.registry.enrol(EnrolRequest(token or self.token(), csr()[0], who or host(), "1"), "::1")

    def serial(self, identity: Identity) -> str:
        record = self.registry.agent(identity.agent)
        assert record is not None
        return record.certificate_serial

    def admitted(self, identity: Identity, serial: str = "") -> str:
        """Empty where the certificate is accepted, else the reason."""
        try:
            self.registry.authenticate(serial or self.serial(identity), identity.agent, identity.not_after_ms)
        except Permanent as error:
            return error.reason
        return ""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def reason(desk: Desk, token: str, who: Host | None = None) -> str:
    with pytest.raises(Permanent) as caught:
        desk.enrol(token, who)
    return caught.value.reason


def test_the_same_host_again_is_the_same_agent_and_its_older_certificate_ends(desk: Desk) -> None:
    first = desk.enrol()
    old = desk.serial(first)
    second = desk.enrol()
    assert second.agent == first.agent
    assert len(desk.registry.agents()) == 1
    assert desk.admitted(first, old) == "superseded"
    assert desk.admitted(second) == ""


def test_a_new_network_card_beside_the_old_one_is_still_the_same_host(desk: Desk) -> None:
    first = desk.enrol(who=host(1, ("02:00:00:00:00:01",)))
    second = desk.enrol(who=host(1, ("02:00:00:00:00:01", "02:00:00:00:00:02")))
    third = desk.enrol(who=host(1, ("02:00:00:00:00:02",)))
    assert first.agent == second.agent == third.agent


def test_a_copied_machine_id_with_other_cards_is_another_agent(desk: Desk) -> None:
    assert desk.enrol().agent != desk.enrol(who=host(1, ("02:00:00:00:77:77",))).agent
    assert len(desk.registry.agents()) == 2


def test_a_token_is_good_for_as_many_hosts_as_it_says_and_until_it_expires(desk: Desk) -> None:
    token = desk.token(uses=2)
    desk.enrol(token, host(1))
    desk.enrol(token, host(2))
    assert reason(desk, token, host(3)) == "token_used"
    assert len(desk.registry.agents()) == 2  # the third left nothing behind
    desk.clock.advance(3601)
    assert reason(desk, token, host(1)) == "token_expired"


def test_a_host_that_lost_the_answer_may_ask_again_with_its_token(desk: Desk) -> None:
    token = desk.token()
    first = desk.enrol(token)
    assert desk.enrol(token).agent == first.agent


def test_a_revoked_agent_can_not_come_back_with_the_token_it_had(desk: Desk) -> None:
    token = desk.token(uses=5)
    first = desk.enrol(token)
    desk.registry.revoke(first.agent, "me")
    assert desk.admitted(first, "1") == "revoked"
    assert reason(desk, token) == "token_used"
    again = desk.enrol(desk.token())
    assert again.agent == first.agent
    assert desk.admitted(again) == ""


def test_many_hosts_at_once_with_one_token_never_use_it_more_often_than_it_says(desk: Desk) -> None:
    token = desk.token(uses=3)
    outcomes: list[str] = []

    def enrol(number: int) -> None:
        try:
            outcomes.append(desk.enrol(token, host(number)).agent)
        except Permanent as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=enrol, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("token_used") == 5
    assert len(desk.registry.agents()) == 3


def test_one_host_that_enrols_many_times_at_once_is_one_agent(desk: Desk) -> None:
    token = desk.token(uses=8)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(desk.enrol(token).agent)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [r.id for r in desk.registry.agents()] == found[:1]


def test_the_store_has_no_secret_of_a_token(desk: Desk) -> None:
    token = desk.token()
    secret = parse_token(token).secret
    desk.enrol(token)
    assert all(secret.encode() not in state.value for state in desk.store.list_state(""))
    audit = desk.store.search(Search(0, 2**52, (), Kind.AUDIT)).rows
    assert audit
    assert all(secret not in str(found.doc) for found in audit)


@pytest.mark.parametrize("text", ["", "tw1.x.y.z", "tw1.0123456789ab." + "A" * 43 + "." + "0" * 64])
def test_a_token_that_is_none_is_refused(desk: Desk, text: str) -> None:
    assert reason(desk, text or "nonsense") == "bad_token"


def test_a_bad_request_does_not_use_up_the_token(desk: Desk) -> None:
    token = desk.token()
    with pytest.raises(Permanent, match="bad_csr"):
        desk.registry.enrol(EnrolRequest(token, "-----BEGIN NONSENSE-----", host(), "1"), "::1")
    assert desk.enrol(token).agent


@pytest.mark.parametrize(
    "bad",
    [Host("", "x"), Host("short", "x"), Host("0" * 32, ""), Host("0" * 32, "a\nb"), Host("0" * 32, "x", ("m",) * 300)],
)
def test_a_host_that_says_nonsense_of_itself_is_refused(desk: Desk, bad: Host) -> None:
    assert reason(desk, desk.token(), bad) == "bad_host"


def test_renewal_keeps_the_old_certificate_until_the_new_one_is_used(desk: Desk) -> None:
    identity = desk.enrol()
    old = desk.serial(identity)
    record = desk.registry.authenticate(old, identity.agent, identity.not_after_ms)
    renewed = desk.registry.renew(record, old, RenewRequest(csr()[0], host(), "2"), "::1")
    assert desk.admitted(identity, old) == ""
    assert desk.admitted(renewed) == ""
    assert desk.admitted(identity, old) == "superseded"


def test_an_expired_certificate_is_refused_also_on_a_connection_that_is_still_open(desk: Desk) -> None:
    identity = desk.enrol()
    serial = desk.serial(identity)
    desk.clock.advance(31 * 86_400)
    assert desk.admitted(identity, serial) == "expired"


def test_a_revocation_at_one_collector_holds_at_the_other_within_seconds(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    two = Desk(tmp_path, "c2", one.store)
    identity = one.enrol()
    assert two.admitted(identity) == ""
    one.registry.revoke(identity.agent, "me")
    two.clock.advance(FRESH_S + 0.1)
    assert two.admitted(identity, "1") == "revoked"


def test_a_sighting_is_saved_and_seen_by_the_other_collector(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    two = Desk(tmp_path, "c2", one.store)
    identity = one.enrol()
    one.registry.seen(identity.agent, "run-1", "2001:db8::9")
    one.registry.heard(identity.agent, "9.9")
    one.registry.flush()
    record = two.registry.agent(identity.agent)
    assert record is not None
    assert (record.address, record.version, record.last_seen_ms) == ("2001:db8::9", "9.9", one.clock.now_ms())


def test_clones_at_two_collectors_are_noticed(tmp_path: Path) -> None:
    one = Desk(tmp_path)
    two = Desk(tmp_path, "c2", one.store)
    identity = one.enrol()
    refused = 0
    for _ in range(4):
        for desk, instance in ((one, "run-1"), (two, "run-2")):
            try:
                desk.registry.seen(identity.agent, instance, "::1")
            except Permanent as error:
                assert error.reason == "cloned"
                refused += 1
            desk.clock.advance(6)
            desk.registry.flush()
    assert refused


def test_ids_of_agents_that_do_not_exist_are_refused(desk: Desk) -> None:
    with pytest.raises(Permanent, match="unknown_agent"):
        desk.registry.authenticate("1", "nobody", 2**50)
    with pytest.raises(Permanent, match="unknown_agent"):
        desk.registry.revoke("nobody", "me")
    assert desk.registry.agent("nobody") is None
