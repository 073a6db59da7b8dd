"""An order from its proposal to its verified undo, as the leader follows it, on a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.response.judgement import QUIET_MS, UNDO_MS, VERIFY_MS
from collector.response.model import State
from telemetry.errors import Permanent
from telemetry.order import Action, Phase, parse
from tests.collector.response.desk_of_orders import INTRUDER, PLAYBOOK, Site, site_with_agents


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_with_agents(tmp_path)


def attacked(site: Site) -> Site:
    """Both agents see the intruder; the leader has looked."""
    site.alert("probe")
    site.alert("switch")
    site.step()
    return site


def applied(site: Site, packets: int = 3) -> Site:
    """Approved, fetched, and applied by the switch."""
    site.responses.approve(site.only().id, "wang")
    site.responses.fetched(site.agents["switch"])
    site.clock.advance(1)
    site.answer("switch", site.only(), Phase.APPLIED, **{"tengwang.order.packets": packets})
    site.step()
    return site


def minutes(site: Site, seconds: float, packets: int = 5) -> None:
    """Time passes; both agents go on talking, and nothing more is seen by the probe."""
    for _ in range(int(seconds / 10)):
        site.clock.advance(10)
        site.heard("switch")
        site.heard("probe")
        site.answer("switch", site.only(), Phase.APPLIED, **{"tengwang.order.packets": packets})
        site.step()


def test_an_incident_brings_a_proposal_for_the_agent_that_reaches_farthest(site: Site) -> None:
    attacked(site)
    kept = site.only()
    assert (kept.state, kept.proposal.agent, kept.proposal.scope) == (State.PROPOSED, site.agents["switch"], "segment")
    (view,) = site.responses.pending(site.incident().id)
    assert (view.target, view.agent_name, view.state) == (INTRUDER, "switch", State.PROPOSED)
    assert site.orders_of("switch") == [], "nothing goes to an agent before somebody approved it"
    site.step(60)
    assert site.only() == kept, "what is proposed twice is one order"
    assert [e.data["state"] for e in site.entries("order")] == ["proposed"]


def test_an_approved_order_is_signed_for_that_agent_and_effective_when_two_views_agree(site: Site) -> None:
    applied(attacked(site))
    (order,) = site.orders_of("switch")
    assert (order.action, order.mac, order.agent) == (Action.DROP_ROGUE_RA, INTRUDER, site.agents["switch"])
    assert (order.approved_by, order.serial, order.withdraw) == ("wang", 1, False)
    assert order.until_ms - order.issued_ms == 3_600_000
    assert site.orders_of("probe") == []
    assert site.state() == (State.APPLIED, "measuring")
    minutes(site, QUIET_MS / 1000 + 20)
    assert site.state() == (State.EFFECTIVE, "")
    assert site.incident().contained_ms
    assert [e.data["state"] for e in site.entries("order")] == ["proposed", "approved", "applied", "effective"]
    assert site.entries("page_needed") == []


def test_a_measurement_ordered_elsewhere_confirms_it_sooner(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 20)
    (recheck,) = site.orders_of("probe")
    assert (recheck.action, recheck.check) == (Action.RECHECK, "rogue_ra")
    verdict = {"tengwang.check.id": "rogue_ra", "tengwang.check.status": "pass", "tengwang.order.id": recheck.id}
    site.say("probe", "tengwang.readiness", "check", **verdict)
    site.step(1)
    assert site.state() == (State.EFFECTIVE, "")
    assert len(site.responses.book.every()) == 2


def test_a_measurement_of_the_acting_agent_itself_confirms_nothing(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 20)
    (recheck,) = site.orders_of("probe")
    verdict = {"tengwang.check.id": "rogue_ra", "tengwang.check.status": "pass", "tengwang.order.id": recheck.id}
    site.say("switch", "tengwang.readiness", "check", **verdict)
    site.step(1)
    assert site.state()[0] is State.APPLIED


def test_an_intruder_that_changes_its_mac_makes_it_not_effective_and_somebody_is_paged(site: Site) -> None:
    applied(attacked(site))
    site.clock.advance(10)
    site.alert("probe", mac="02:00:00:00:00:67")
    site.answer("switch", site.only(), Phase.APPLIED, **{"tengwang.order.packets": 3})
    site.step(1)
    assert site.state() == (State.APPLIED_NOT_EFFECTIVE, "goes_on")
    (entry,) = site.entries("page_needed")
    assert (entry.data["order"], entry.data["state"]) == (site.only().id, "applied_not_effective")
    assert not site.incident().contained_ms
    site.step(5)
    assert len(site.entries("page_needed")) == 1, "once"


def test_the_acting_agent_still_sees_the_intruder_before_its_own_rules(site: Site) -> None:
    applied(attacked(site))
    site.clock.advance(10)
    site.alert("switch")
    site.step(1)
    assert site.state()[0] is State.APPLIED


def test_without_another_view_it_is_unknown_and_paged(site: Site) -> None:
    site.alert("switch")
    site.step()
    applied(site)
    for _ in range(int(VERIFY_MS / 10_000) + 1):
        site.clock.advance(10)
        site.heard("switch")
        site.answer("switch", site.only(), Phase.APPLIED, **{"tengwang.order.packets": 9})
        site.step()
    assert site.state() == (State.UNKNOWN, "no_second_view")
    assert len(site.entries("page_needed")) == 1


def test_a_blind_or_silent_witness_is_no_view(site: Site) -> None:
    applied(attacked(site))
    site.clock.advance(5)
    blind = {"tengwang.input.type": "ndp", "tengwang.input.state": "blind"}
    site.say("probe", "tengwang.agent", "input-state", **blind)
    minutes(site, VERIFY_MS / 1000 + 10)
    assert site.state() == (State.UNKNOWN, "no_second_view")


def test_a_silent_acting_agent_makes_it_unknown(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 90)
    assert site.state()[0] is State.EFFECTIVE
    for _ in range(8):
        site.clock.advance(10)
        site.heard("probe")
        site.step()
    assert site.state() == (State.UNKNOWN, "agent_silent")


def test_an_order_for_an_agent_that_is_away_expires_and_the_incident_says_so(site: Site) -> None:
    attacked(site)
    site.responses.approve(site.only().id, "wang")
    site.step(9 * 60)
    assert site.state()[0] is State.APPROVED
    site.step(90)
    assert site.state() == (State.EXPIRED, "agent_away")
    assert [e.data["state"] for e in site.entries("order")][-1] == "expired"
    assert site.entries("page_needed")[-1].data["why"] == "agent_away"
    assert site.orders_of("switch") == []


@pytest.mark.parametrize(
    ("phase", "reason", "state"),
    [(Phase.REFUSED, "not_allowed", State.REFUSED), (Phase.FAILED, "not_permitted", State.FAILED)],
)
def test_what_the_agent_does_not_do_is_said(site: Site, phase: Phase, reason: str, state: State) -> None:
    attacked(site)
    site.responses.approve(site.only().id, "wang")
    site.answer("switch", site.only(), phase, **{"event.reason": reason, "message": "why"})
    site.step(10)
    assert site.state() == (state, reason)
    assert bool(site.audited("order-refused")) == (phase is Phase.REFUSED)


def test_a_withdrawal_is_sent_and_its_undo_verified(site: Site) -> None:
    applied(attacked(site))
    site.responses.withdraw(site.only().id, "li")
    site.responses.withdraw(site.only().id, "li")
    (order,) = site.orders_of("switch")
    assert (order.withdraw, order.serial) == (True, 2)
    assert site.state() == (State.UNDOING, "withdrawn")
    site.clock.advance(2)
    site.answer("switch", site.only(), Phase.UNDONE, **{"event.reason": "withdrawn"})
    site.step()
    assert site.state() == (State.UNDONE, "withdrawn")
    assert site.orders_of("switch") == []


def test_an_undo_that_nobody_confirms_is_not_verified_and_paged_only_where_nobody_asked(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 3600, packets=9)
    assert site.state() == (State.UNDOING, "ended")
    site.step(UNDO_MS / 1000 + 1)
    assert site.state() == (State.UNDO_NOT_VERIFIED, "not_told")
    assert site.entries("page_needed")


def test_rules_that_are_still_there_after_the_undo_are_said_to_be(site: Site) -> None:
    applied(attacked(site))
    site.responses.withdraw(site.only().id, "li")
    site.answer("switch", site.only(), Phase.UNDONE, **{"event.outcome": "failure", "event.reason": "withdrawn"})
    site.step(1)
    assert site.state() == (State.UNDO_NOT_VERIFIED, "withdrawn")
    site.clock.advance(5)
    site.answer("switch", site.only(), Phase.UNDONE, **{"event.reason": "withdrawn"})
    site.step(1)
    assert site.state() == (State.UNDONE, "withdrawn")


def test_when_the_incident_is_over_its_orders_are_undone_or_no_longer_proposed(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 100)
    site.desk.close(site.incident().id, "li", "it is unplugged")
    site.step(3)
    assert site.state() == (State.UNDOING, "withdrawn")
    assert site.orders_of("switch")[-1].withdraw


def test_a_proposal_of_an_incident_that_is_over_goes(site: Site) -> None:
    attacked(site)
    site.desk.false_positive(site.incident().id, "li", "a test")
    site.step(3)
    assert site.state() == (State.EXPIRED, "incident_over")
    with pytest.raises(Permanent, match="not_proposed"):
        site.responses.approve(site.only().id, "wang")


def test_what_is_protected_is_never_proposed_and_the_incident_says_what_it_would_have_hit(site: Site) -> None:
    site.alert("probe", mac="02:00:00:00:00:fe")
    site.step()
    assert site.state() == (State.REFUSED, "protected: device gateway")
    with pytest.raises(Permanent, match="not_proposed"):
        site.responses.approve(site.only().id, "wang")
    assert site.entries("order")[-1].data["why"] == "protected: device gateway"


def test_what_became_protected_meanwhile_can_not_be_approved(site: Site) -> None:
    attacked(site)
    text = (site.folder / "inventory" / "all.yml").read_text()
    (site.folder / "inventory" / "all.yml").write_text(text.replace("02:00:00:00:00:fe", INTRUDER))
    site.responses._grounds._inventory.poll()
    with pytest.raises(Permanent, match="protected"):
        site.responses.approve(site.only().id, "wang")
    assert site.audited("order-approved")[0]["event.outcome"] == "failure"


def test_where_no_agent_can_act_it_is_proposed_when_one_comes(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.enrol("probe", 2)
    site.ready("probe", "host", Action.RECHECK)
    site.alert("probe")
    site.step()
    assert site.state() == (State.FAILED, "no_agent")
    site.enrol("switch", 1)
    site.ready("switch", "segment", *Action)
    site.step(20)
    assert site.state() == (State.PROPOSED, "")
    assert site.only().proposal.agent == site.agents["switch"]


def test_approving_needs_no_leader_and_twice_is_refused(site: Site) -> None:
    attacked(site)
    order_id = site.only().id
    assert site.responses.approve(order_id, "wang").state is State.APPROVED
    with pytest.raises(Permanent, match="not_proposed"):
        site.responses.approve(order_id, "li")
    with pytest.raises(Permanent, match="not_proposed"):
        site.responses.refuse(order_id, "li", "late")
    with pytest.raises(Permanent, match="not_found"):
        site.responses.approve("../state", "li")
    assert [doc["user.name"] for doc in site.audited("order-approved") if doc["event.outcome"] == "success"] == ["wang"]


def test_a_refusal_is_on_record_with_its_reason(site: Site) -> None:
    attacked(site)
    view = site.responses.refuse(site.only().id, "li", "it is the new printer")
    assert (view.state, view.decided_by, view.detail) == (State.REFUSED, "li", "it is the new printer")
    assert site.entries("order")[-1].note == "it is the new printer"
    site.step(30)
    assert site.state() == (State.REFUSED, "by_person"), "it is not proposed again by itself"
    again = site.responses.again(site.only().id, "li")
    assert again.state is State.PROPOSED


AUTOMATIC = PLAYBOOK.replace("verify_by", "automatic: {classes: [network-attack]}, verify_by")


def test_a_playbook_acts_by_itself_only_where_both_sides_allow_it(tmp_path: Path) -> None:
    for name, allowed in (("no", False), ("yes", True)):
        folder = tmp_path / name
        (folder / "playbooks").mkdir(parents=True)
        (folder / "playbooks" / "rogue.yml").write_text(AUTOMATIC, encoding="utf-8")
        site = attacked(site_with_agents(folder, automatic=allowed))
        assert site.only().state is (State.APPROVED if allowed else State.PROPOSED)
        assert [o.approved_by for o in site.orders_of("switch")] == (["policy"] if allowed else [])


def test_another_leader_goes_on_where_the_first_one_stopped(site: Site, tmp_path: Path) -> None:
    applied(attacked(site))
    second = Site(tmp_path, site.store, site.clock)
    second.agents = site.agents
    second.registry.seen(site.agents["probe"], "run-1", "::1")
    second.respond.begin(site.clock.now_ms())
    minutes(second, QUIET_MS / 1000 + 20)
    assert second.state() == (State.EFFECTIVE, "")
    states = [e.data["state"] for e in second.entries("order")]
    assert states == ["proposed", "approved", "applied", "effective"], "nothing is told twice"


def test_a_report_of_another_agent_counts_for_nothing(site: Site) -> None:
    attacked(site)
    site.responses.approve(site.only().id, "wang")
    site.answer("probe", site.only(), Phase.APPLIED, **{"tengwang.order.packets": 99})
    site.step(1)
    assert site.state()[0] is State.APPROVED


def test_the_signature_is_the_authoritys(site: Site) -> None:
    from agent.order_signature import verify

    attacked(site)
    site.responses.approve(site.only().id, "wang")
    (signed,) = site.responses.for_agent(site.agents["switch"]).orders
    assert verify(signed, site.authority.pem.encode()) == parse(signed.payload)


def test_what_ended_while_the_matter_goes_on_is_proposed_once_more(site: Site) -> None:
    applied(attacked(site))
    minutes(site, 3600)
    site.answer("switch", site.only(), Phase.UNDONE, **{"event.reason": "ended"})
    site.step(1)
    assert site.state() == (State.UNDONE, "ended")
    site.step(120)
    assert len(site.responses.every()) - len([v for v in site.responses.every() if v.verifies]) == 1
    site.alert("probe")
    site.step(3)
    site.step(30)
    states = [view.state for view in site.responses.every() if not view.verifies]
    assert states == [State.UNDONE, State.PROPOSED]


def test_an_incident_that_comes_back_is_acted_on_anew(site: Site) -> None:
    attacked(site)
    site.responses.refuse(site.only().id, "li", "wait")
    incident = site.incident().id
    site.desk.close(incident, "li", "it is unplugged")
    site.step(3)
    site.desk.reopen(incident, "li", "it is back")
    site.step(3)
    assert [view.state for view in site.responses.every()] == [State.REFUSED, State.PROPOSED]


def test_an_agent_that_reaches_farther_takes_the_place_of_one_that_only_waits(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.enrol("probe", 2)
    site.ready("probe", "host", *Action)
    site.alert("probe")
    site.step()
    assert site.only().proposal.scope == "host"
    site.enrol("switch", 1)
    site.ready("switch", "segment", *Action)
    site.step(20)
    site.step(20)
    found = {(v.agent_name, v.state, v.why) for v in site.responses.every()}
    assert found == {("probe", State.EXPIRED, "superseded"), ("switch", State.PROPOSED, "")}
    (pending,) = site.responses.pending(site.incident().id)
    site.responses.approve(pending.id, "wang")
    site.ready("switch", "segment")
    site.step(20)
    assert site.responses.pending(site.incident().id) == [], "what is in force is not proposed for another agent"
