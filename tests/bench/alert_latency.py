"""[median] [p99]: from a packet on the wire to the notifier's sink, through agent, collector, rules, incident and page.

In the lab: the intruder sends one router advertisement with a MAC that was never seen; the agents on the segment tell
it, the collector finds it, opens an incident and pages a person by webhook. Every trial is an incident of its own, so
none is folded into an older one. The clock is the machine's monotonic one, read just before the packet is sent and when
the sink has the page. The peers are the bounds that we promise.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
import uuid
from pathlib import Path

from collector import shipped
from tests.bench.result import Result
from tests.e2e import story_site
from tests.e2e.story_site import Story

MEDIAN_S, P99_S = 3.0, 10.0
RULES = 6
"""A rule and unit with more than twenty new incidents in ten minutes is a storm and counts as one; so several rules."""
EACH = int(os.environ.get("BENCH_EACH", "18"))
PAUSE_S = 1.5
SEND = """\
import sys, time
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether
from scapy.sendrecv import sendp
for line in sys.stdin:
    mac, source = line.split()
    frame = Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=source, dst="ff02::1", hlim=255)
    frame /= ICMPv6ND_RA(routerlifetime=0) / ICMPv6NDOptPrefixInfo(prefix="2d00:bad::", validlifetime=0)
    began = time.monotonic()
    sendp(frame, iface="bureau", verbose=0)
    print(mac, began, flush=True)
"""


def run() -> list[Result]:
    with story_site.up() as story:
        rules(Path(story.lab.directory / "rules"))
        listening = (
            "dataset:tengwang.agent action:input-state tengwang.input.type:ndp tengwang.input.state:on unit:bureau"
        )
        story.eventually("both agents of the bureau listen", lambda: len(story.events(listening)) >= 2, 90)
        time.sleep(8)  # the rules are read again, and the agents' first reports are through
        seen = {posted.json()["incident"] for posted in list(story.hook.posted)}
        found = [trial(story, number, seen) for number in range(RULES * EACH)]
    took = [seconds for seconds in found if seconds is not None]
    missed = RULES * EACH - len(took)
    print(f"{len(took)} pages, {missed} missed; slowest {max(took):.2f} s, fastest {min(took):.2f} s")
    if missed:
        raise SystemExit(f"{missed} packets were never paged")
    took.sort()
    p99 = took[min(len(took) - 1, round(0.99 * len(took)))]
    return [
        Result("median", round(statistics.median(took), 3), MEDIAN_S, "bound", "s"),
        Result("p99", round(p99, 3), P99_S, "bound", "s"),
    ]


def rules(folder: Path) -> None:
    """Only the rule of the rogue router, once for each ending of a MAC, with an incident for each sender."""
    shipped_rule = (shipped.rules() / "ndp/rogue_router_advertisement.yml").read_text(encoding="utf-8")
    for old in folder.rglob("*.yml"):
        old.unlink()
    for number in range(RULES):
        text = re.sub(
            r"^id: .*$", f"id: {uuid.uuid5(uuid.NAMESPACE_DNS, str(number))}", shipped_rule, flags=re.MULTILINE
        )
        text = text.replace("  condition:", f'    source.mac|endswith: ":{number:02x}"\n  condition:')
        text = re.sub(r"by: \[.*\]", "by: [tengwang.unit.id, source.mac]", text)
        text = re.sub(r"family: .*", f"family: rogue-{number}", text)
        (folder / f"rogue-{number}.yml").write_text(text, encoding="utf-8")


def trial(story: Story, number: int, seen: set[str]) -> float | None:
    """Seconds until the page about this packet is there; None where it does not come."""
    mac = f"02:be:9c:00:{number // RULES:02x}:{number % RULES:02x}"
    intruder = story.lab["intruder"]
    script = intruder.directory / "send.py"
    script.write_text(SEND)
    said = intruder.run("sh", "-c", f"echo {mac} fe80::be:{number:x} | {sys.executable} {script}").stdout.split()
    began = float(said[-1])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for posted in list(story.hook.posted):
            page = posted.json()
            if page["to"]["person"] == "chen" and page["incident"] not in seen:
                seen.add(page["incident"])
                time.sleep(PAUSE_S)
                return posted.at - began
        time.sleep(0.02)
    return None
