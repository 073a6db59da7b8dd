from __future__ import annotations

from pathlib import Path

from tests.collector.inventory_text import RIGHT, indexed


def test_units_are_a_tree(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    assert index.children(None) == ("city",)
    assert index.children("city") == ("county",)
    assert index.path("village") == ("city", "county", "street", "village")
    assert list(index.below("county")) == ["county", "street", "village"]
    assert index.path("nowhere") == ()
    assert list(index.below("nowhere")) == []


def test_the_longest_prefix_holds_and_what_it_leaves_out_comes_from_around_it(tmp_path: Path) -> None:
    index = indexed(tmp_path)

    def at(ip: str) -> tuple[str | None, str | None] | None:
        found = index.lookup(ip)
        return (found.unit, found.zone) if found else None

    assert at("2001:db8:ffff::1") == ("city", "office")
    assert at("2001:db8:1::1") == ("county", "office")
    assert at("2001:db8:1:80::80") == ("county", "portal")
    assert at("::ffff:10.1.2.3") == ("city", None)
    assert at("192.0.2.1") is None
    assert at("not an address") is None


def test_devices_are_found_by_any_address_and_systems_by_any_spelling_of_a_domain(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    for address in ("2001:db8:1::1", "2001:DB8:1:0::1", "fe80::1%eth0"):
        assert index.device_at(address) is index.device("r1")
    assert index.device_at("x") is None
    for domain in ("www.nc.example", "WWW.NC.example.", "门户.example", "xn--zoup46i.example"):
        assert index.system_of_domain(domain) is index.system("portal")
    assert index.system_of_domain("") is None


def test_a_zone_is_that_of_the_asset_else_of_its_address_else_of_its_unit(tmp_path: Path) -> None:
    index = indexed(tmp_path, RIGHT.replace('addresses: ["2001:db8:1:80::80"], ', ""))
    portal, router = index.system("portal"), index.device("r1")
    assert portal is not None
    assert router is not None
    assert index.zone_of(portal) == "office"
    again = indexed(tmp_path).system("portal")
    assert again is not None
    assert indexed(tmp_path).zone_of(again) == "portal"


def test_a_units_zone_is_written_or_that_of_its_widest_prefixes(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    assert index.zone_of_unit("county") == "office"  # written
    assert index.zone_of_unit("city") == "office"  # 2001:db8::/32; 10.0.0.0/8 says none
    assert index.zone_of_unit("village") is None
    own = RIGHT.replace("prefixes:\n", 'prefixes:\n  - {prefix: "fe80::/10", unit: city, zone: portal}\n')
    assert indexed(tmp_path, own).zone_of_unit("city") == "office"  # link-local says nothing
    tied = RIGHT.replace(
        '{prefix: "10.0.0.0/8", unit: city}',
        '{prefix: "10.0.0.0/8", unit: city, zone: portal}',
    )
    assert indexed(tmp_path, tied).zone_of_unit("city") is None  # IPv4 and IPv6 disagree


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    assert "hush-hush" not in repr(index.inventory)
    assert "hush-hush" not in repr(index.credential("v2"))
