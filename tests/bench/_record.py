"""Record the real mix: the lab with three agents, traffic and a rogue router, as the events its collector stored.

``python -m tests.bench._record`` (root) writes ``tests/captures/mix.ndjson.zst``: what agents sent, in the order of
their own time, without what the collector added. The benchmark of the collector replays it.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import zstandard

from collector.query import Search
from telemetry.event import Event
from tests.lab import stores
from tests.lab.extranet import address
from tests.lab.lab import Lab
from tests.lab.programs import Collector, agents

FILE = Path(__file__).parents[1] / "captures" / "mix.ndjson.zst"
SECONDS = 150
PORTAL = {"-6": f"http://[{address('portal')}]/", "-4": "http://10.100.160.80/"}
ADDED = frozenset(
    {
        "event.id",
        "event.ingested",
        "agent.id",
        "agent.name",
        "tengwang.agent.epoch",
        "tengwang.agent.sequence",
        "tengwang.time.skew",
        "tengwang.time.flag",
    }
)
ENRICHED = ("tengwang.unit.", "tengwang.zone", "tengwang.owner.", "tengwang.source.", "tengwang.destination.")


def main() -> int:
    with ExitStack() as stack:
        lab = stack.enter_context(Lab.up())
        choice = stores.choose(lab, None)
        collector = Collector(lab, choice)
        collector.start()
        for agent in agents(lab).values():
            agent.enrol(collector)
            agent.start()
        began = time.monotonic()
        rogue = False
        while (passed := time.monotonic() - began) < SECONDS:
            for name, family in (("terminal", "-6"), ("terminal", "-4"), ("mgmt", "-6"), ("mgmt", "-4")):
                lab[name].run("curl", "-s", family, "-m", "2", "-o", "/dev/null", PORTAL[family], check=False)
            if passed > SECONDS / 3 and not rogue:
                lab.start_rogue_ra(20)
                rogue = True
            time.sleep(0.2)
        collector.stop()
        with choice.open(collector.own) as store:
            events: list[Event] = []
            after = ""
            while True:
                page = store.search(Search(0, 2**52, (), limit=1000, oldest_first=True, after=after))
                events.extend(sent(found.doc) for found in page.rows)
                after = page.after
                if not after:
                    break
    FILE.write_bytes(zstandard.compress(b"\n".join(map(msgspec.json.encode, events)) + b"\n", 19))
    print(f"{len(events)} events in {FILE}")
    return 0


def sent(doc: Event) -> Event:
    """The event as the agent sent it."""
    return {k: v for k, v in doc.items() if k not in ADDED and not k.startswith(ENRICHED)}


if __name__ == "__main__":
    sys.exit(main())
