"""Containment that is verified, in the lab: a rogue router's advertisements are dropped at the access switch.

What the terminal itself has says so, the undo is verified too, a block that the intruder evades is shown as not
effective and paged, and a killed agent leaves nothing behind that nobody confirms.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.extranet_site import FAST, Fields, Site, up
from tests.lab import extranet, switch
from tests.lab.programs import Agent, last_word
from tests.parts.elasticsearch import Cluster

pytestmark = [
    pytest.mark.needs("root", "radvd", "nginx", "bind9", "snmpd", "thc-ipv6", "iproute2", "nftables"),
    pytest.mark.timeout(900),
]
ALLOW = '\n[actions]\nallow = ["recheck", "block_source", "block_destination", "rate_limit", "drop_rogue_ra"]\n'
ROGUE = extranet.ROGUE_PREFIX.removesuffix(":/64")
OTHER_MAC = "02:66:66:66:66:66"


class Bureau:
    """The extranet with an agent on the bureau's access switch, and a person who may decide."""

    def __init__(self, site: Site, agent: Agent) -> None:
        self.site, self.lab, self.agent = site, site.lab, agent
        self.token = last_word(site.collector.command("token", "create", "--role", "operator"))

    def actions(self, **wanted: str) -> list[Fields]:
        found: list[Fields] = self.site.collector.get("actions")["actions"]
        return [one for one in found if all(one[name] == value for name, value in wanted.items())]

    def decide(self, order: str, verb: str, **given: str) -> Fields:
        request = urllib.request.Request(
            f"{self.site.collector.console()}/api/v1/actions/{order}/{verb}",
            data=json.dumps(given).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            decided: Fields = json.loads(answer.read())
        return decided

    def becomes(self, order: str, state: str, seconds: float) -> Fields:
        def reached() -> Any:
            return self.actions(id=order, state=state)

        try:
            found: list[Fields] = self.site.eventually(f"{order} is {state}", reached, seconds)
        except AssertionError as error:
            raise AssertionError(f"{self.actions(id=order)}\n{self.agent.log()[-2000:]}\n{error}") from error
        return found[0]

    def proposed(self) -> Fields:
        wanted = {"state": "proposed", "action": "drop_rogue_ra", "agent_name": "switch"}
        found: list[Fields] = self.site.eventually("it is proposed", lambda: self.actions(**wanted), 90)
        return found[0]

    def rogue(self) -> str:
        """What the terminal itself has of the rogue router: addresses and routes."""
        terminal = self.lab["terminal"]
        listed = terminal.run("ip", "-6", "addr", "show", "dev", "bureau", "scope", "global").stdout
        routes = terminal.run("ip", "-6", "route", "show", "dev", "bureau").stdout
        return "\n".join(line for line in (listed + routes).splitlines() if ROGUE in line)

    def forget(self) -> None:
        """The terminal throws away what it took."""
        terminal = self.lab["terminal"]
        terminal.run("ip", "-6", "addr", "flush", "dev", "bureau", "scope", "global", "dynamic")
        terminal.run("ip", "-6", "route", "del", extranet.ROGUE_PREFIX, "dev", "bureau", check=False)

    def takes_rogue(self, seconds: float) -> bool:
        """Does the terminal take it (again) within this time?"""
        self.forget()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.rogue():
                return True
            time.sleep(0.2)
        return False

    def rules(self) -> str:
        return self.lab["switch"].run("nft", "list", "ruleset").stdout


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.needs("elasticsearch"))]
)
def bureau(request: pytest.FixtureRequest) -> Iterator[Bureau]:
    cluster: Cluster | None = request.getfixturevalue("elasticsearch") if request.param == "elasticsearch" else None
    with up(cluster) as site:
        agent = Agent(switch.manage(site.lab), "bureau", FAST + ALLOW)
        agent.enrol(site.collector)
        agent.start()
        site.agents["switch"] = agent
        made = Bureau(site, agent)

        def able() -> bool:
            listed = site.collector.get("abilities")["agents"]
            return any(one["scope"] == "segment" and "drop_rogue_ra" in one["allowed"] for one in listed)

        site.eventually("the switch's agent may contain", able, 90)
        yield made


def test_the_block_is_effective_by_the_terminals_own_view_and_its_undo_verified(bureau: Bureau) -> None:
    bureau.lab.start_rogue_ra(seconds=600)
    proposal = bureau.proposed()
    assert proposal["target"] == bureau.lab["intruder"].spec.mac("bureau")
    assert bureau.takes_rogue(5), "before the block the terminal takes the rogue prefix"

    began = time.monotonic()
    bureau.decide(proposal["id"], "approve")
    bureau.site.eventually("rules on the switch", lambda: proposal["id"] in bureau.rules(), 60)
    figures = {"rules": time.monotonic() - began}
    bureau.becomes(proposal["id"], "applied", 60)
    figures["applied"] = time.monotonic() - began
    assert not bureau.takes_rogue(5), "behind the block it does not"

    effective = bureau.becomes(proposal["id"], "effective", 150)
    figures["effective"] = time.monotonic() - began
    assert effective["packets"] > 0
    assert bureau.lab["intruder"].alive("rogue-ra"), "the intruder goes on all the time"

    bureau.decide(proposal["id"], "withdraw")
    bureau.becomes(proposal["id"], "undone", 90)
    assert "tengwang" not in bureau.rules()
    assert bureau.takes_rogue(5), "traffic passes again"
    bureau.lab.stop_rogue_ra()
    print("seconds from approval to:", ", ".join(f"{name} {took:.1f}" for name, took in figures.items()))


def test_an_intruder_that_changes_its_mac_is_shown_and_paged(bureau: Bureau) -> None:
    bureau.lab.start_rogue_ra(seconds=600)
    former = bureau.actions(action="drop_rogue_ra", agent_name="switch")[-1]
    again = bureau.decide(former["id"], "again")
    bureau.decide(again["id"], "approve")
    bureau.becomes(again["id"], "applied", 60)
    assert not bureau.takes_rogue(3)

    bureau.lab.stop_rogue_ra()
    bureau.lab["intruder"].run("ip", "link", "set", "bureau", "address", OTHER_MAC)
    bureau.lab.start_rogue_ra(seconds=300)
    shown = bureau.becomes(again["id"], "applied_not_effective", 120)
    assert shown["why"] == "goes_on"
    assert bureau.takes_rogue(5), "the terminal's own view agrees"
    history = bureau.site.collector.get(f"incidents/{again['incident']}/history")
    assert "page_needed" in json.dumps(history)
    bureau.decide(again["id"], "withdraw")
    bureau.becomes(again["id"], "undone", 90)
    bureau.lab.stop_rogue_ra()


def test_an_agent_that_is_killed_undoes_what_nobody_confirms_and_stops_clean(bureau: Bureau) -> None:
    """kill -9 leaves the rules to the kernel; the next run keeps what the collector confirms, and a stop undoes it."""
    former = bureau.actions(action="drop_rogue_ra", agent_name="switch")[-1]
    again = bureau.decide(former["id"], "again")
    bureau.decide(again["id"], "approve")
    bureau.becomes(again["id"], "applied", 60)
    bureau.agent.kill()
    assert again["id"] in bureau.rules(), "the rules hold while the agent is away"
    bureau.agent.start()
    seen = bureau.actions(id=again["id"])[0]["reported"]
    bureau.site.eventually("it reports again", lambda: bureau.actions(id=again["id"])[0]["reported"] > seen, 120)
    assert again["id"] in bureau.rules(), "confirmed by the collector, it goes on"
    assert bureau.agent.stop() == 0
    assert "tengwang" not in bureau.rules()
    bureau.agent.start()
    bureau.becomes(again["id"], "undone", 90)
