"""The bureau's segment as an intruder meets it, and what is asked about it."""

from __future__ import annotations

import datetime
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from telemetry.clock import SystemClock
from tests.e2e.extranet_site import FAST, Fields, Site
from tests.lab import stores
from tests.lab.lab import Lab
from tests.lab.network import SWITCH
from tests.lab.programs import Collector, agents

ROOT = Path(__file__).resolve().parents[2]
SEGMENT = "bureau"
PROBE6, PROBE4 = "2d00:100:a0:1::10", "10.100.160.10"
GATEWAY4 = "10.100.160.1"


def rule_id(path: str) -> str:
    """The id of a rule of ours: of its correlation, where it is one."""
    documents = list(yaml.safe_load_all((ROOT / "rules" / f"{path}.yml").read_text(encoding="utf-8")))
    return str(next((one for one in documents if "correlation" in one), documents[-1])["id"])


class Segment(Site):
    """A site, what its alerts are, and how to put one more thing on the bureau's segment."""

    def alert(self, rule: str, since_ms: int, seconds: float, more: str = "") -> Fields:
        """The first alert of the rule at ``rules/RULE.yml`` since then. Fails where there is none in time."""
        query = f"rule.id:{rule_id(rule)} {more}".strip()
        raised: list[Fields] = self.eventually(f"alerts of {rule}", lambda: self.alerts(query, since_ms), seconds)
        return raised[-1]

    def alerts(self, query: str, since_ms: int) -> list[Fields]:
        """What alerts the query finds whose event is not older than that; newest first."""
        return [one for one in self.events(query, "alerts") if milliseconds(one["@timestamp"]) >= since_ms]

    @staticmethod
    def now_ms() -> int:
        return SystemClock().now_ms()

    def plug_in(self, host: str, mac: str) -> str:
        """One more interface of a host on the segment, with this MAC; returns its name."""
        name, port = "plug", f"{SEGMENT}.plug"
        inside = f"{self.lab.prefix}-{host}"
        switch = f"{self.lab.prefix}-{SWITCH}"
        _ip(f"link add {name} netns {inside} address {mac} type veth peer name {port} netns {switch}")
        _ip(f"-n {switch} link set {port} master {SEGMENT} up")
        _ip(f"-n {inside} link set {name} up")
        return name


def milliseconds(text: str) -> int:
    return round(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)


@contextmanager
def up() -> Iterator[Segment]:
    with ExitStack() as stack:
        lab = stack.enter_context(Lab.up())
        collector = Collector(lab, stores.choose(lab, None))
        collector.start()
        units = agents(lab, lambda unit: FAST)
        for agent in units.values():
            agent.enrol(collector)
            agent.start()
        site = Segment(lab, collector, units)
        site.sees("dataset:tengwang.ndp action:router_advertisement unit:bureau tengwang.ndp.registered:true")
        time.sleep(1)
        yield site
