"""The menu of ``make lab``: a letter does something to the network, the same letter again undoes it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab import extranet
from tests.lab.lab import Lab
from tests.lab.programs import Agent, Collector

Action = Callable[[], None]


@dataclass
class Switch:
    """Something that is done and undone."""

    do: str
    undo: str
    on: Action
    off: Action
    done: bool = False

    @property
    def text(self) -> str:
        return self.undo if self.done else self.do

    def flip(self) -> None:
        (self.off if self.done else self.on)()
        self.done = not self.done


class Menu:
    def __init__(self, lab: Lab, collector: Collector, agents: dict[str, Agent]) -> None:
        self.lab, self.collector, self.agents = lab, collector, agents
        county = agents["county"]
        self.switches = {
            "r": Switch(
                "rogue router: the intruder advertises itself (atk6-fake_router26, 10 min)",
                "stop the rogue router",
                lambda: lab.start_rogue_ra(600),
                lab.stop_rogue_ra,
            ),
            "c": Switch(
                "cut the line between city and county",
                "restore the line between city and county",
                lambda: lab.cut("county", "backbone"),
                lambda: lab.restore("county", "backbone"),
            ),
            "k": Switch("kill -9 the county's agent", "start the county's agent", county.kill, county.start),
            "x": Switch("kill -9 the collector", "start the collector", collector.kill, collector.start),
            "a": Switch(
                "take the portal's AAAA record away",
                "give the portal its AAAA record back",
                lambda: lab.set_aaaa(False),
                lambda: lab.set_aaaa(True),
            ),
            "n": Switch(
                "the portal's nginx stops listening on IPv6",
                "the portal's nginx listens on IPv6 again",
                lambda: lab.set_portal(v6=False),
                lambda: lab.set_portal(v6=True),
            ),
        }
        if not lab.v4:
            del self.switches["n"]  # it would listen on nothing
        self.looks: dict[str, tuple[str, Action]] = {
            "l": ("ledgers: collected = stored + spooled + dropped", self.ledgers),
            "v": ("readiness of the portal", self.readiness),
            "e": ("the newest alerts", self.alerts),
            "s": ("a shell on a host", self.shell),
            "o": ("a new login link for the console", self.link),
        }

    def loop(self) -> None:
        """Until ``q`` or the end of input."""
        self.link()
        while True:
            self.show()
            try:
                letter = input("> ").strip().lower()
            except (EOFError, KeyboardInterrupt):
                print()
                return
            if letter == "q":
                return
            self.act(letter)

    def show(self) -> None:
        print()
        for letter, switch in self.switches.items():
            print(f"  {letter}  {switch.text}")
        for letter, (text, _) in self.looks.items():
            print(f"  {letter}  {text}")
        print("  q  quit and take everything down")

    def act(self, letter: str) -> None:
        """One letter; what goes wrong is said, and the lab goes on."""
        try:
            if letter in self.switches:
                print(self.switches[letter].text)
                self.switches[letter].flip()
            elif letter in self.looks:
                self.looks[letter][1]()
        except (OSError, RuntimeError) as error:
            print(f"that did not work: {error}")

    def link(self) -> None:
        print(f"\nconsole: {self.collector.login_link()}")

    def ledgers(self) -> None:
        for unit, agent in self.agents.items():
            account = agent.account()
            dropped = sum(account.dropped.values())
            print(
                f"  {unit:8} collected {account.collected} = stored {account.acked} "
                f"+ spooled {account.spooled} + dropped {dropped}"
            )

    def readiness(self) -> None:
        for asset in self.collector.get("readiness")["assets"]:
            print(f"  {asset['name']}")
            for verdict in asset["verdicts"]:
                print(
                    f"    {verdict['status']:10} {verdict['number']:2} {verdict['title_en']}: {verdict['summary_en']}"
                )

    def alerts(self) -> None:
        for alert in self.collector.get("alerts?limit=20")["events"]:
            fields = alert["fields"]
            print(f"  {fields['@timestamp']} {fields['rule.level']:8} {fields['rule.name']}")

    def shell(self) -> None:
        name = input(f"which host ({', '.join(self.lab.hosts)})? ").strip()
        if name in self.lab.hosts:
            print(f"a shell on {name}; the portal is {extranet.DOMAIN}; exit to come back")
            subprocess.run(self.lab[name].command(["bash", "--norc"]), check=False)
