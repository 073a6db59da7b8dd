"""The extranet with people on call: an agent on the access switch that may act, and three real ways to page.

The rules are the program's own with shorter times, so that a matter is over in seconds and not in ten minutes; nobody
would run them so, and a story could not be told otherwise.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from collector import shipped
from tests.e2e.extranet_site import Fields, Site
from tests.lab import stores, switch
from tests.lab.lab import Lab
from tests.lab.programs import CONSOLE_PORT, Agent, Collector, agents, inputs, last_word
from tests.parts import smsc, smtpd, webhook_sink
from tests.parts.elasticsearch import Cluster
from tests.parts.smsc import Smsc
from tests.parts.smtpd import Mailbox
from tests.parts.webhook_sink import Sink

FAST = inputs(host="interval = 2", packets="active = 2\ninactive = 1", readiness="interval = 10", ndp="window = 3")
"""A rogue router that goes on is told every three seconds: well within the time that counts as quiet here."""
ALLOW = '\n[actions]\nallow = ["recheck", "block_source", "drop_rogue_ra"]\n'
SECOND_AFTER_S = 20
SETTINGS = """\
[rules]
packaged = false
paths = ["{rules}"]

[operations]
hold_s = 5

[paging]
base_url = "http://127.0.0.1:{console}"

[[notifiers]]
type = "webhook"
url = "http://[::1]:{webhook}/page"
per_minute = 600

[[notifiers]]
type = "smtp"
host = "::1"
port = {smtp}
security = "none"
per_minute = 600

[[notifiers]]
type = "smpp"
host = "::1"
port = {smpp}
user = "tengwang"
password_file = "smpp.secret"
country = "86"
per_minute = 600

"""
DUTY = f"""\
people:
  - {{id: chen, name: 陈值班, unit: city, phone: "13800000001", channels: [webhook]}}
  - {{id: zhao, name: 赵值班, unit: city, email: zhao@soc.test, channels: [smtp]}}
  - {{id: qian, name: 钱值班, unit: city, phone: "13800000003", channels: [smpp], language: en}}
  - {{id: sun, name: 孙领导, unit: city, phone: "13800000004", channels: [webhook]}}
escalations:
  - id: main
    steps:
      - {{after: 0s, notify: [chen, zhao, qian]}}
      - {{after: {SECOND_AFTER_S}s, notify: [sun]}}
"""


class Story(Site):
    """``paged`` is what the sinks were given."""

    def __init__(
        self, lab: Lab, collector: Collector, units: dict[str, Agent], hook: Sink, mail: Mailbox, gateway: Smsc
    ) -> None:
        super().__init__(lab, collector, units)
        self.hook, self.mail, self.gateway = hook, mail, gateway
        self._token = last_word(collector.command("token", "create", "--role", "operator"))

    def order(self, id: str) -> Fields:
        found: list[Fields] = self.collector.get("actions")["actions"]
        return next(one for one in found if one["id"] == id)

    def approve(self, order: str) -> None:
        """As a program with an operator's token does."""
        request = urllib.request.Request(
            f"{self.collector.console()}/api/v1/actions/{order}/approve",
            data=b"{}",
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def incidents(self, title: str = "", state: str = "", unit: str = "") -> list[Fields]:
        """Newest first, by a part of their English title."""
        found: list[Fields] = self.collector.get("incidents")["incidents"]
        kept = [i for i in found if title in i["title"]["en"] and (not state or i["state"] == state)]
        return [i for i in kept if not unit or i["unit"] == unit]

    def incident(self, title: str, state: str = "", seconds: float = 60.0, unit: str = "") -> Fields:
        """The newest with this title, as soon as it is (in this state)."""
        what = f"{title!r} {state} {unit}"
        found: list[Fields] = self.eventually(what, lambda: self.incidents(title, state, unit), seconds)
        return found[0]

    def pages(self, incident: str, person: str = "") -> list[Fields]:
        """What the webhook was given about an incident."""
        every = [posted.json() for posted in list(self.hook.posted)]
        return [p for p in every if p["incident"] == incident and (not person or p["to"]["person"] == person)]

    def paged(self, incident: str, person: str, seconds: float = 30.0) -> Fields:
        found: list[Fields] = self.eventually(f"{person} is paged", lambda: self.pages(incident, person), seconds)
        return found[0]


def quick(folder: Path) -> Path:
    """The program's rules with times for a story."""
    for file in sorted(shipped.rules().rglob("*.yml")):
        place = file.relative_to(shipped.rules())
        if place.parts[0] in ("posture", "playbooks", "reporting"):
            continue
        text = re.sub(r"\bquiet: \w+", "quiet: 12s", file.read_text(encoding="utf-8"))
        if place.as_posix() == "agent/silent.yml":
            text = text.replace("timespan: 2m", "timespan: 25s")
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
    return folder


@contextmanager
def up(cluster: Cluster | None = None, v4: bool = True) -> Iterator[Story]:
    with ExitStack() as stack:
        lab = stack.enter_context(Lab.up(v4=v4))
        hook = stack.enter_context(webhook_sink.start())
        mail = stack.enter_context(smtpd.start())
        gateway = stack.enter_context(smsc.start())
        ports = {"webhook": hook.server_port, "smtp": mail.port, "smpp": gateway.port}
        inside = {name: lab.relay_in("mgmt", ("::1", port)) for name, port in ports.items()}
        console = lab.relay("mgmt", ("::1", CONSOLE_PORT))
        settings = SETTINGS.format(rules=quick(lab.directory / "rules"), console=console, **inside)
        collector = Collector(lab, stores.choose(lab, cluster), settings=settings)
        secret = collector.own / "smpp.secret"
        secret.touch(mode=0o600)
        secret.write_text(smsc.PASSWORD)
        folder = collector.home / "inventory"
        (folder / "duty.yml").write_text(DUTY, encoding="utf-8")
        units_file = folder / "units.yml"
        listed = units_file.read_text(encoding="utf-8").replace("level: city}", "level: city, escalation: main}")
        units_file.write_text(listed, encoding="utf-8")
        collector.start()
        units = agents(lab, lambda unit: FAST)
        units["switch"] = Agent(switch.manage(lab), "bureau", FAST + ALLOW)
        for agent in units.values():
            agent.enrol(collector)
            agent.start()
        yield Story(lab, collector, units, hook, mail, gateway)


def waited(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
