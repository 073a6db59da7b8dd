"""One chaos run: bring everything up, do the faults at their times, heal, let it drain, and count.

Every line it prints starts with the seconds since the first fault could happen, so two runs can be laid side by side.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from collector.ledger import Ledgers
from collector.store import Store
from tests.chaos import loop_audit, schedule
from tests.chaos.audit import Accepted, accepted_by, audit
from tests.chaos.schedule import Fault
from tests.chaos.site import SPOOL_DISK, STORE_DISK, Site, small_disk
from tests.lab import stores
from tests.lab.lab import Lab
from tests.lab.programs import Agent, Collector, agents, inputs
from tests.parts import elasticsearch, webhook_sink
from tests.parts.webhook_sink import Sink

SHORT_MEMORY = "bureau"
"""The unit whose agent keeps events for seconds only, so that there are drops to be reported."""
DRAIN_SECONDS = 120.0
LOOP_SECONDS = 90.0
"""So long the leader may take, after everything is there, until each alert is in an incident and each page is out."""
ROGUE_SECONDS = 600
CAUGHT_UP = 50
"""Events that wait in an agent that keeps up."""


@dataclass(frozen=True)
class Outcome:
    """``problems`` is empty where nothing was lost or doubled and every ledger adds up."""

    faults: int
    events: int
    dropped: int
    seconds: float
    problems: tuple[str, ...]


class Run:
    def __init__(self, print_line: Callable[[str], None]) -> None:
        self._print = print_line
        self._zero = time.monotonic()

    def say(self, text: str) -> None:
        self._print(f"{time.monotonic() - self._zero:7.1f}  {text}")

    def faults(self, site: Site, faults: list[Fault]) -> None:
        """Begin and heal each at its time; two may overlap."""
        number = itertools.count()
        queue: list[tuple[float, int, bool, Fault]] = [(f.at, next(number), True, f) for f in faults]
        heapq.heapify(queue)
        self._zero = time.monotonic()
        while queue:
            at, _, begins, fault = heapq.heappop(queue)
            while (wait := at - (time.monotonic() - self._zero)) > 0:
                site.supervise()
                time.sleep(min(wait, 0.5))
            self.say(f"{fault}" if begins else f"  healed: {fault.kind.value} {fault.target}")
            began = time.monotonic()
            if begins:
                site.begin(fault)
                heapq.heappush(queue, (at + fault.seconds, next(number), False, fault))
            else:
                site.heal(fault)
            # On a busy machine this takes a while. The run's clock stands still for it, or what comes next would come
            # all at once, and a second node would go down before the first is back.
            self._zero += time.monotonic() - began

    def drain(self, site: Site) -> None:
        """Until every agent has delivered what it had when the faults were over."""
        if site.cluster:
            site.cluster.wait()
        deadline = time.monotonic() + DRAIN_SECONDS
        behind = set(site.agents)
        while behind and time.monotonic() < deadline:
            site.supervise()
            behind = {name for name in behind if waiting(site.agents[name]) > CAUGHT_UP}
            time.sleep(0.5)
        for name in sorted(behind):
            self.say(f"{name} still has {waiting(site.agents[name])} events to send")

    def accepted(self, site: Site) -> list[Accepted]:
        """End the agents, then ask each spool what it accepted."""
        time.sleep(12)  # one more status event of each, so that the collector has heard of every epoch
        for agent in site.agents.values():
            agent.stop()
        return [accepted_by(agent.home) for agent in site.agents.values()]


def settings(unit: str, collectors: list[str]) -> str:
    """Steady, real events: every interface of every host, every second; each agent prefers another collector."""
    turn = len(unit) % len(collectors)
    spool = "[spool]\nmax_age_days = 0.00005\n\n" if unit == SHORT_MEMORY else ""
    uplink = f"[uplink]\nmax_backoff_seconds = 3\ncollectors = {collectors[turn:] + collectors[:turn]!r}\n\n"
    return spool + uplink + inputs(host="interval = 1", readiness="interval = 20")


def waiting(agent: Agent) -> float:
    """How many events it has yet to send; infinite while it starts."""
    try:
        return agent.account().spooled
    except OSError:
        return math.inf


def paging(lab: Lab, sink: Sink) -> str:
    """The collector's settings: every page goes to the sink outside the lab, through a relay."""
    port = lab.relay_in("mgmt", ("::1", sink.server_port))
    channel = f'[[notifiers]]\ntype = "webhook"\nurl = "http://[::1]:{port}/page"\nper_minute = 6000\ntimeout_s = 3\n\n'
    return f"[paging]\nalarm_s = 30\n\n{channel}"


@contextmanager
def site(kind: str, nodes: int, sink: Sink, say: Callable[[str], None]) -> Iterator[Site]:
    """A lab with everything running and enrolled; ``kind`` is sqlite with one collector, or elastic with two."""
    with ExitStack() as stack:
        cluster = None
        if kind == "elastic":
            say(f"starting Elasticsearch, {nodes} nodes")
            cluster = stack.enter_context(elasticsearch.start(nodes=nodes, tls=nodes > 1))
        lab = stack.enter_context(Lab.up())
        small_disk(lab["mgmt"].directory / "tengwang" / "collector", STORE_DISK)
        for host in ("city", "county", "probe"):
            small_disk(lab[host].directory / "agent", SPOOL_DISK)
        store, told = stores.choose(lab, cluster), paging(lab, sink)
        collectors = [Collector(lab, store, settings=told)]
        if cluster is not None:
            collectors.append(Collector(lab, store, settings=told, program="second", shift=10, beside=collectors[0]))
        for collector in collectors:
            collector.start()
        urls = [collector.url for collector in collectors]
        units = agents(lab, lambda unit: settings(unit, urls))
        for agent in units.values():
            agent.enrol(collectors[0])
            agent.start()
        lab.start_rogue_ra(ROGUE_SECONDS)
        yield Site(lab, collectors, units, cluster, say)


def run(kind: str, count: int, seed: int, print_line: Callable[[str], None], nodes: int = 3) -> Outcome:
    """``count`` faults by ``seed`` on one kind of store."""
    this = Run(print_line)
    this.say(f"{kind}: {count} faults, seed {seed}")
    with webhook_sink.start() as sink, site(kind, nodes, sink, this.say) as there:
        faults = schedule.make(seed, count, there.targets)
        began = time.monotonic()
        this.faults(there, faults)
        this.say("all faults are over; draining")
        this.drain(there)
        there.lab.stop_rogue_ra()
        accepted = this.accepted(there)
        with ExitStack() as running:
            for collector in there.collectors.values():
                running.callback(collector.stop)
            wait_for_loop(there, sink)
        with there.collector.store.open(there.collector.own) as store:
            problems = count_up(store, accepted)
            taken = keys(sink)
            problems += loop_audit.problems(store, taken)
            this.say(loop_audit.told(store, taken))
        events = sum(each.collected for each in accepted)
        dropped = sum(each.dropped for each in accepted)
        for line in problems or ["nothing lost, nothing doubled, every ledger adds up"]:
            this.say(line)
        outcome = Outcome(len(faults), events, dropped, time.monotonic() - began, tuple(problems))
        this.say(f"{outcome.events} events accepted, {outcome.dropped} of them reported as dropped")
        return outcome


def keys(sink: Sink) -> Counter[str]:
    """How often the sink was given each page."""
    return Counter(posted.headers.get("Idempotency-Key", "") for posted in list(sink.posted))


def wait_for_loop(there: Site, sink: Sink) -> None:
    """Until the leader has gone through everything, at most ``LOOP_SECONDS``; what is not right by then is told."""
    deadline = time.monotonic() + LOOP_SECONDS
    with there.collector.store.open(there.collector.own) as store:
        while time.monotonic() < deadline:
            there.supervise()
            if refresh := getattr(store, "refresh", None):
                refresh()
            if not loop_audit.problems(store, keys(sink)):
                return
            time.sleep(2)


def count_up(store: Store, accepted: list[Accepted]) -> list[str]:
    """Ask the store itself. What Elasticsearch acknowledged in the last second is not yet visible to a search."""
    if refresh := getattr(store, "refresh", None):
        refresh()
    ledgers = Ledgers(store, "audit")
    ledgers.load()
    ledgers.refresh()
    return audit(store, accepted, ledgers.accounts())
