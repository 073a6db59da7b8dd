from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.inventory_source import examine, load
from collector.inventory_values import canonical_domain, canonical_mac, parse_prefix
from telemetry.errors import ConfigError
from tests.collector.inventory_text import RIGHT, write

ROOT = Path(__file__).parents[2]


def problems(folder: Path, text: str) -> list[str]:
    """Each as ``line: key: message (hint)``."""
    path = str(folder / "all.yml")
    return [str(p).removeprefix(path + ":") for p in examine(write(folder, text)).problems]


def changed(old: str, new: str) -> str:
    assert old in RIGHT
    return RIGHT.replace(old, new, 1)


def test_a_right_inventory_has_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path, RIGHT) == []


def test_the_example_is_right_and_has_the_four_levels() -> None:
    inventory, _ = load(ROOT / "deploy/inventory")
    assert {unit.level.value for unit in inventory.units} == {"city", "county", "township", "village"}
    assert inventory.devices
    assert inventory.systems


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("name: 南昌市", "nmae: 南昌市", "2: units[1].nmae: unknown key (did you mean 'name'?)"),
        ("level: city}", "level: province}", "2: units[1].level: Invalid enum value 'province'"),
        (
            "id: city, name",
            "id: 360100, name",
            "2: units[1].id: Expected `str`, got `int` (write it in quotes; letters",
        ),
        ("level: 2}", "level: 6}", "systems[1].level: Expected `int` <= 5 (等保 level by GB/T 22240, 1 to 5)"),
        (
            "2001:db8:1::/48",
            "2001:db8:1::1/48",
            "prefixes[2].prefix: 2001:db8:1::1/48 has host bits set (write 2001:db8:1::/48)",
        ),
        ("10.0.0.0/8", "10.0.0.1", "prefixes[4].prefix: '10.0.0.1' has no length (one address is 10.0.0.1/32)"),
        ("10.0.0.0/8", "2001:db8:1:80::/64", "2001:db8:1:80::/64 is there twice (first at "),
        (
            "unit: city}\ncred",
            "unit: cty}\ncred",
            "prefixes[4].unit: there is no units entry 'cty' (did you mean 'city'?)",
        ),
        ('"10.0.0.0/8", unit: city', '"10.0.0.0/8"', "prefixes[4]: says neither unit nor zone (give it at least one)"),
        ("id: street,", "id: county,", "units[3].id: 'county' is there twice (first at "),
        ("{id: portal, name: 门户,", "{id: r1, name: 门户,", "systems[1].id: 'r1' is there twice (first at "),
        (
            "parent: city, zone",
            "parent: village, zone",
            "parent: units stand in a circle: county -> village -> street -> county",
        ),
        ("parent: county}", "parent: village}", "units stand in a circle: street -> village -> street"),
        (
            "level: county",
            "level: village",
            "a township unit can not stand below the village unit 'county' (village or lower",
        ),
        (", parent: street}", "}", "units[4]: a second unit without parent: 'village' (first at "),
        ("0791-83880001", "12", "people[1].phone: '12' is not a phone number (a mobile number 13800000000"),
        ("fe80::1", "fe80::zz", "devices[1].addresses[1]: 'fe80::zz' is not an IP address"),
        ("fe80::1", "fe80::1%eth0", "'fe80::1%eth0' is not an IP address (without prefix length and zone)"),
        ("00-00-5E-00-53-01", "00-00-5E", "devices[1].macs[1]: '00-00-5E' is not a MAC address"),
        ("WWW.nc.example", '"https://www.nc.example/index"', "is not a domain name (write www.nc.example)"),
        (
            "WWW.nc.example",
            "门户.example.",
            "systems[1].domains[2]: xn--zoup46i.example belongs to system 'portal' already",
        ),
        ("domains: [WWW.nc.example, 门户.example]", "domains: []", "systems[1].domains: names no domain"),
        ("operator: wang", "operator: wan", "devices[1].responsible.operator: there is no people entry 'wan'"),
        (
            "segments: [county, street]",
            "segments: [county, stret]",
            "devices[1].segments[2]: there is no units entry 'stret'",
        ),
        ("community: hush-hush", "community: ''", "credentials[1].community: version 2c needs a community"),
        ("community: hush-hush", "user: u", "credentials[1].user: is not used by version 2c"),
        (
            'version: "2c", community: hush-hush',
            'version: "3", user: u, auth_protocol: SHA',
            "auth_key: goes with the other",
        ),
        (
            'version: "2c", community: hush-hush',
            'version: "3", user: u, auth_protocol: SHA3, auth_key: hush-hush',
            "auth_protocol: 'SHA3' is not known (one of MD5, SHA, ",
        ),
        ("hush-hush", "file:not-there", "not-there: can not be read: No such file or directory"),
        (
            'addresses: ["fe80::1"]\n    macs: ["00-00-5E-00-53-01"]',
            "",
            "a router is recognised by its link-local address",
        ),
        ("resolvers: [", "resolvers: [dns.example, ", "resolvers[1]: 'dns.example' is not an IP address"),
        ("resolvers: [", "resolver: [", "resolver: unknown key (did you mean 'resolvers'?)"),
        ("zones:", "zones: x\nxones:", "zones: must be a list"),
        ("zones:", "units:", "units: stands twice (first on line 1)"),
    ],
)
def test_each_mistake_is_named_with_what_to_write_instead(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    found = problems(tmp_path, changed(old, new))
    assert any(wanted in problem for problem in found), found
    assert "hush-hush" not in "".join(found)


def test_every_problem_is_named_at_once_each_on_its_line(tmp_path: Path) -> None:
    text = (
        changed("parent: city, zone", "parent: ciyt, zone")
        .replace("10.0.0.0/8", "10.0.0.1/8")
        .replace("phone: ", "fone: ")
    )
    assert [(p.split(":")[0], p.split(":")[1]) for p in problems(tmp_path, text)] == [
        ("3", " units[2].parent"),
        ("10", " people[1].fone"),
        ("15", " prefixes[4].prefix"),
    ]  # and no problem for the references to wang, whose entry is there, only wrong


def test_problems_name_the_file_they_are_in(tmp_path: Path) -> None:
    write(tmp_path, RIGHT, "a.yml")
    write(tmp_path, "units:\n  - {id: city, name: again, level: city, parent: county}\n", "b.yml")
    found = [str(p) for p in examine(tmp_path).problems]
    assert found == [f"{tmp_path}/b.yml:2: units[1].id: 'city' is there twice (first at {tmp_path}/a.yml:2)"]


def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    (tmp_path / "secret").chmod(0o644)
    text = changed("hush-hush", "file:secret")
    assert "others can read it (mode 0644) (chmod 600" in problems(tmp_path, text)[0]
    (tmp_path / "secret").chmod(0o600)
    assert problems(tmp_path, text) == []
    assert examine(tmp_path).credentials["v2"].community == "hush"


def test_a_missing_folder_or_an_empty_one_is_a_problem_with_advice(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="tengwang inventory example"):
            load(folder)


LINES = st.sampled_from(RIGHT.splitlines(keepends=True))
NOISE = st.sampled_from(
    ["  - {id: x}\n", "units: 3\n", "- a\n", "prefixes: [[1]]\n", "people: {a: b}\n", "1: 2\n", "x: !!int ''\n"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.lists(st.one_of(LINES, NOISE), max_size=30).map("".join)))
def test_any_text_gives_an_inventory_or_problems(tmp_path: Path, text: str) -> None:
    try:
        load(write(tmp_path, text.encode(errors="replace").decode()))
    except ConfigError as error:
        assert error.problems


SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["city", "r1", "::1"])
)
KEYS = st.sampled_from(
    ["id", "name", "level", "parent", "unit", "zone", "prefix", "address", "domains", "responsible", "version", "x"]
)
ENTRY = st.dictionaries(
    KEYS, st.one_of(SCALAR, st.lists(SCALAR, max_size=2), st.dictionaries(KEYS, SCALAR, max_size=2))
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["units", "people", "zones", "prefixes", "devices", "systems", "credentials"]), st.lists(ENTRY)
    )
)
def test_any_entries_give_an_inventory_or_problems(tmp_path: Path, data: dict[str, object]) -> None:
    import yaml

    examine(write(tmp_path, yaml.safe_dump(data, allow_unicode=True)))


@given(st.text(max_size=40))
def test_any_value_is_read_or_told_off(text: str) -> None:
    network, message, _ = parse_prefix(text)
    assert (network is None) == bool(message)
    assert canonical_mac(canonical_mac(text)) == canonical_mac(text)
    assert canonical_domain(canonical_domain(text)) == canonical_domain(text)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("{id: pc, name: 终端, unit: county}", "terminals[1]: has neither macs nor addresses"),
        (
            "{id: pc, name: 终端, unit: cunty, macs: ['00:00:5e:00:53:99']}",
            "terminals[1].unit: there is no units entry",
        ),
        (
            "{id: pc, name: 终端, unit: county, macs: [nonsense]}",
            "terminals[1].macs[1]: 'nonsense' is not a MAC address",
        ),
        (
            "{id: pc, name: 终端, unit: county, macs: ['00:00:5e:00:53:01']}",
            "00:00:5e:00:53:01 belongs to 'r1' already",
        ),
        ("{id: pc, name: 终端, unit: county, addresses: [nowhere]}", "'nowhere' is not an IP address"),
        ("{id: r1, name: 终端, unit: county, macs: ['00:00:5e:00:53:99']}", "terminals[1].id: 'r1' is there twice"),
    ],
)
def test_a_wrong_terminal_is_told_with_its_place(tmp_path: Path, entry: str, wanted: str) -> None:
    (told,) = problems(tmp_path, RIGHT + f"terminals:\n  - {entry}\n")
    assert wanted in told
