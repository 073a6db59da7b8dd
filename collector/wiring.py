"""Make the parts of a collector from its home and configuration. Nothing runs yet; nothing listens yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from collector import detect, local_names, shipped
from collector.audit import Trail
from collector.ca import Authority
from collector.clock_notes import ClockNotes
from collector.config import CollectorConfig, component_config
from collector.detect.correlate import Correlator
from collector.enricher import Enricher, EnricherContext
from collector.feed import Feed
from collector.home import Home
from collector.incidents import reporting
from collector.incidents.desk import Desk
from collector.incidents.escalate import Escalate
from collector.incidents.facts import RuleFacts
from collector.incidents.group import Group
from collector.incidents.lifecycle import is_open
from collector.incidents.remind import Remind
from collector.incidents.reporting import Regulation
from collector.incidents.responsibility import Raising
from collector.incidents.sight import Sight
from collector.incidents.verify import Verify
from collector.intake import Intake
from collector.inventory_source import InventorySource
from collector.judge import Judge
from collector.lease import Lease
from collector.ledger import Ledgers
from collector.live import Live
from collector.operation import Part
from collector.operations import Operations
from collector.paging import make_paging
from collector.pipeline import Pipeline
from collector.posture.part import Posture
from collector.posture.source import BookSource
from collector.registry import Registry
from collector.response.evidence import Evidence
from collector.response.ground import Grounds
from collector.response.respond import Respond
from collector.response.responses import Responses
from collector.services import Services
from collector.standing import Standing
from collector.store import Store, StoreContext
from telemetry import component
from telemetry.clock import Clock
from telemetry.config import Document
from telemetry.metrics import OF_COLLECTOR, begin
from telemetry.report import Report


def open_store(config: CollectorConfig, home: Home, clock: Clock, report: Report) -> Store:
    """The configured store. Raises ConfigError, MissingExtra."""
    options = component_config(_document(), "collector.stores", config.store, ("store",))
    module = component.load("collector.stores", str(config.store["type"]))
    return cast(Store, module.build(options, StoreContext(home.path, clock, report)))


def make_enrichers(config: CollectorConfig, context: EnricherContext) -> list[Enricher]:
    made = []
    for index, table in enumerate(config.enrichers):
        options = component_config(_document(), "collector.enrichers", table, ("enrichers", index))
        module = component.load("collector.enrichers", str(table["type"]))
        made.append(cast(Enricher, module.build(options, context)))
    return made


def rule_paths(config: CollectorConfig, home: Home) -> list[Path]:
    """The program's own rules and the configured ones."""
    return [*([shipped.rules()] if config.rules.packaged else []), *map(home.within, config.rules.paths)]


def make_services(
    home: Home,
    config: CollectorConfig,
    clock: Clock,
    report: Report,
    collectors: Callable[[], tuple[str, ...]] = tuple,
) -> Services:
    """All parts that share state. Opens the store."""
    begin(report, OF_COLLECTOR)
    store = open_store(config, home, clock, report)
    trail = Trail(store, clock, report)
    identity = home.collector_id()
    authority = Authority.open(home.within(config.agents.ca), clock)
    inventory = InventorySource(home.within(config.inventory.path), report)
    registry = Registry(store, clock, authority, trail, identity, collectors, config.agents.certificate_days)
    detector = detect.build(rule_paths(config, home), report, clock, identity)
    live = Live(clock)
    feed = Feed()
    desk = Desk(
        store=store,
        inventory=inventory.current,
        clock=clock,
        report=report,
        trail=trail,
        rules=rule_facts(detector),
        collector_id=identity,
        raising=Raising(
            config.operations.raise_from_level,
            config.operations.raise_cii,
            frozenset(config.operations.raise_zones),
        ),
        changed=lambda: live.publish("incidents"),
    )
    return Services(
        clock=clock,
        report=report,
        store=store,
        standing=Standing(clock, report),
        inventory=inventory,
        registry=registry,
        ledgers=Ledgers(store, identity),
        detector=detector,
        config=config,
        collector_id=identity,
        started_ms=clock.now_ms(),
        live=live,
        feed=feed,
        clock_notes=ClockNotes(store, identity),
        home=home.path,
        authority=authority,
        trail=trail,
        desk=desk,
        lease=Lease(store, clock, identity),
        regulations=read_regulations(config, home, report),
        responses=Responses(
            store,
            clock,
            authority,
            trail,
            report,
            Grounds(
                store,
                clock,
                report,
                inventory,
                registry,
                playbook_paths(config, home),
                families_of=lambda rule: families(detector, rule),
                collectors=lambda: own_addresses(config),
                protected=config.response.protected,
                automatic=config.response.automatic,
            ),
            lambda: desk,
        ),
        posture=BookSource(rule_paths(config, home), report),
        paging=make_paging(
            config=config,
            store=store,
            clock=clock,
            report=report,
            authority=authority,
            inventory=inventory.current,
            desk=desk,
            feed=feed,
            collector_id=identity,
            changed=lambda: live.publish("paging"),
        ),
    )


def rule_facts(detector: detect.Detector) -> Callable[[str], RuleFacts | None]:
    """What incidents have to know of the rule with an id."""

    def facts(id: str) -> RuleFacts | None:
        info = next((info for info in detector.rules() if info.id == id), None)
        if info is None:
            return None
        return RuleFacts(
            info.id,
            info.title,
            info.level,
            info.category,
            info.datasets,
            info.quiet_ms,
            info.has_proof,
            info.over_when,
            info.description,
            info.action,
        )

    return facts


def read_regulations(config: CollectorConfig, home: Home, report: Report) -> tuple[Regulation, ...]:
    """The reporting clocks that come with the program, and the configured ones."""
    paths = [shipped.rules() / "reporting", *map(home.within, config.operations.reporting)]
    found, problems = reporting.read(paths)
    if problems:
        report.warn("reporting", f"{len(problems)} problem(s), these files are not in use; the first: {problems[0]}")
    return found


def want_proofs(services: Services) -> None:
    """Tell the detector which matters are open, on every collector: what proves their end is then kept soon."""
    open_now = (incident for incident in services.desk.docket.all() if is_open(incident))
    services.detector.watch(frozenset(key for incident in open_now for key in (incident.key, *incident.keys)))


def make_parts(services: Services) -> list[Part]:
    """What the leader goes through, in the order of collector/operation.py."""
    options = services.config.operations
    remind = Remind(services.desk, lambda: services.regulations, options.operator, services.clock, services.report)
    return [
        Correlator(services.store, services.detector.ruleset, services.report, services.collector_id),
        Group(
            services.desk,
            services.store,
            services.clock,
            services.report,
            reopen_ms=int(options.reopen_hours * 3_600_000),
            keep_ms=int(options.keep_days * 86_400_000),
            needed=remind.running,
        ),
        Verify(
            services.desk,
            services.store,
            Sight(services.store, services.registry.agents),
            services.clock,
            services.report,
            hold_ms=int(options.hold_s * 1000),
        ),
        remind,
        make_respond(services),
        make_escalate(services),
        make_posture(services),
    ]


def make_respond(services: Services) -> Respond:
    facts = rule_facts(services.detector)

    def datasets(rule: str) -> tuple[str, ...]:
        found = facts(rule)
        return found.datasets if found is not None else ()

    return Respond(
        services.responses,
        services.desk,
        Evidence(services.store, services.registry.agents, datasets),
        services.responses.abilities,
        services.trail,
        services.clock,
        services.report,
    )


def make_escalate(services: Services) -> Escalate:
    paging, desk = services.paging, services.desk
    return Escalate(
        everything=desk.docket.all,
        change=desk.change,
        pager=paging.pager,
        inventory=services.inventory.current,
        on_call=paging.duty.on_call,
        suppressions=desk.suppressions.all,
        nobody=paging.dead_man.nobody,
        clock=services.clock,
        report=services.report,
        level=services.config.paging.level,
    )


def make_posture(services: Services) -> Posture:
    store = component_config(_document(), "collector.stores", services.config.store, ("store",))
    return Posture(
        store=services.store,
        book=services.posture,
        inventory=services.inventory,
        registry=services.registry,
        ledgers=services.ledgers,
        live=services.live,
        clock=services.clock,
        report=services.report,
        retention_days=int(getattr(store, "retention_days", 0)),
    )


def make_operations(services: Services) -> Operations:
    return Operations(
        store=services.store,
        standing=services.standing,
        lease=services.lease,
        feed=services.feed,
        clock_notes=services.clock_notes,
        parts=make_parts(services),
        clock=services.clock,
        report=services.report,
    )


def playbook_paths(config: CollectorConfig, home: Home) -> list[Path]:
    """The program's own playbooks and the configured ones."""
    packaged = [shipped.playbooks()] if config.response.packaged else []
    return [*packaged, *map(home.within, config.response.paths)]


def families(detector: detect.Detector, rule: str) -> frozenset[str]:
    """The family that a rule says it is of, and the folder that it stands in."""
    return frozenset(
        word for info in detector.rules() if info.id == rule for word in (info.family, Path(info.path).parent.name)
    )


def own_addresses(config: CollectorConfig) -> list[str]:
    """Of this host, and of all collectors that agents are told of."""
    told = [urlsplit(url).hostname or "" for url in config.agents.collectors]
    return [*local_names.addresses(), *config.agents.names, *told]


def make_judge(services: Services, unit_of_agent: Callable[[str], str]) -> Judge:
    context = EnricherContext(services.inventory, unit_of_agent, services.report, services.clock)
    return Judge(make_enrichers(services.config, context), services.detector, services.report)


def make_pipeline(services: Services) -> Pipeline:
    config, report = services.config, services.report
    return Pipeline(
        store=services.store,
        standing=services.standing,
        intake=Intake(report, config.limits.future_s * 1000, config.limits.past_s * 1000),
        judge=make_judge(services, services.registry.unit_of),
        ledgers=services.ledgers,
        live=services.live,
        feed=services.feed,
        clock_notes=services.clock_notes,
        clock=services.clock,
        report=report,
        queue_bytes=config.limits.queue_bytes,
        group_records=config.limits.group_records,
        heard=services.registry.heard,
    )


def _document() -> Document:
    """The configuration was checked when it was read; here its lines are of no use."""
    return Document("tengwang.toml", {}, {})
