from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.enricher import EnricherContext
from collector.enrichers.inventory import OURS, Config, InventoryEnricher, build
from collector.inventory_source import InventorySource
from telemetry.clock import ManualClock
from telemetry.event import Event
from telemetry.fields import BY_NAME
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.inventory_text import RIGHT, source, write

UNITS = {"a1": "county", "a2": "gone", "a3": "village"}
COUNTY = {
    "tengwang.unit.id": "county",
    "tengwang.unit.name": "东湖区",
    "tengwang.unit.level": "county",
    "tengwang.unit.path": ["city", "county"],
    "tengwang.zone": "office",
}
OWNED = {
    "tengwang.asset.id": "r1",
    "tengwang.asset.name": "路由器",
    "tengwang.asset.level": 3,
    "tengwang.asset.cii": True,
    "tengwang.owner.authority": "wang",
    "tengwang.owner.operator": "wang",
    "tengwang.owner.user": "wang",
}


def enricher(inventory: InventorySource, config: Config | None = None) -> InventoryEnricher:
    clock = ManualClock()
    return build(config or Config(), EnricherContext(inventory, lambda a: UNITS.get(a, ""), Report(clock), clock))


def enriched(folder: Path, **fields: object) -> Event:
    """What is added; keywords have ``_`` for ``.``."""
    event: Event = {name.replace("_", "."): value for name, value in fields.items()}  # type: ignore[misc]
    before = dict(event)
    enricher(source(folder)).enrich(event)
    return {name: value for name, value in event.items() if before.get(name) != value}


def test_an_event_has_the_unit_of_its_agent(tmp_path: Path) -> None:
    assert enriched(tmp_path, agent_id="a1") == COUNTY


def test_what_was_seen_on_a_segment_is_of_the_unit_whose_segment_it_is(tmp_path: Path) -> None:
    router = enricher(source(tmp_path))

    def of(agent: str, *prefixes: str) -> tuple[object, object]:
        event: Event = {"agent.id": agent, "tengwang.segment.prefixes": list(prefixes)}
        router.enrich(event)
        return event.get("tengwang.unit.id"), event.get("tengwang.zone")

    assert of("a1", "2001:db8:1:5::/64") == ("county", "office")
    assert of("a1", "2001:db8:1:80::/64") == ("county", "portal")
    assert of("a3", "2001:db8:1:5::/64")[0] == "village", "the county is not below the village: not believed"
    assert of("a1", "2001:db8:7::/64")[0] == "county", "of the city's range: not below the county"
    assert of("a1", "nonsense", "2d00:bad::/64", "")[0] == "county"
    assert of("a1")[0] == "county"


def test_an_event_about_an_asset_has_the_assets_unit_and_owners(tmp_path: Path) -> None:
    wanted = COUNTY | OWNED
    assert enriched(tmp_path, agent_id="a3", tengwang_device_id="r1") == wanted
    assert enriched(tmp_path, agent_id="a3", tengwang_check_subject="r1") == wanted


@pytest.mark.parametrize("domain", ["www.nc.example", "门户.example"])
def test_a_checked_domain_is_its_system(tmp_path: Path, domain: str) -> None:
    added = enriched(tmp_path, agent_id="a3", tengwang_check_subject=domain)
    assert (added["tengwang.asset.id"], added["tengwang.zone"], added["tengwang.unit.id"]) == (
        "portal",
        "portal",
        "county",
    )
    assert added["tengwang.asset.level"] == 2
    assert "tengwang.owner.user" not in added


def test_both_ends_have_their_unit_and_zone(tmp_path: Path) -> None:
    added = enriched(tmp_path, agent_id="a1", source_ip="2001:db8:1:80::80", destination_ip="10.1.2.3")
    assert added == COUNTY | {
        "tengwang.source.unit": "county",
        "tengwang.source.zone": "portal",
        "tengwang.destination.unit": "city",
    }


def test_the_ends_can_be_left_out(tmp_path: Path) -> None:
    event: Event = {"agent.id": "a1", "source.ip": "2001:db8:1:80::80"}
    enricher(source(tmp_path), Config(ends=False)).enrich(event)
    assert "tengwang.source.unit" not in event


def test_what_an_agent_says_of_units_and_owners_is_not_believed(tmp_path: Path) -> None:
    event: Event = {"agent.id": "unknown", **dict.fromkeys(OURS, "forged")}
    enricher(source(tmp_path)).enrich(event)
    assert event == {"agent.id": "unknown"}


def test_an_agent_of_a_unit_that_is_gone_keeps_the_units_id(tmp_path: Path) -> None:
    assert enriched(tmp_path, agent_id="a2") == {"tengwang.unit.id": "gone"}


def test_a_new_inventory_holds_from_the_next_event_on(tmp_path: Path) -> None:
    inventory = source(tmp_path)
    made = enricher(inventory)
    made.enrich({"agent.id": "a1", "tengwang.device.id": "r1"})
    write(tmp_path, RIGHT.replace("unit: county\n    address", "unit: street\n    address").replace("东湖区", "新区"))
    assert inventory.poll()
    for event, field, value in (
        ({"agent.id": "a1"}, "tengwang.unit.name", "新区"),
        ({"tengwang.device.id": "r1"}, "tengwang.unit.id", "street"),
    ):
        full: Event = dict(event)
        made.enrich(full)
        assert full[field] == value


VALUES = st.one_of(
    st.text(max_size=8), st.integers(), st.none(), st.lists(st.text(max_size=4), max_size=2), st.booleans()
)
NAMES = st.sampled_from(
    ["agent.id", "source.ip", "destination.ip", "tengwang.device.id", "tengwang.check.subject", *OURS]
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES))
def test_any_event_is_enriched_without_an_error(tmp_path: Path, event: Event) -> None:
    enricher(source(tmp_path)).enrich(event)


def test_what_it_adds_are_valid_fields(tmp_path: Path) -> None:
    assert BY_NAME.keys() >= OURS
    event: Event = {"@timestamp": 1, "event.dataset": "d", "event.action": "a", "source.ip": "10.1.2.3"}
    event |= {"tengwang.device.id": "r1"}
    enricher(source(tmp_path)).enrich(event)
    validate(event)
