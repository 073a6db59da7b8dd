"""Checks 1, 2, 9, 11, 12, 13 and 18 on a real portal: BIND 9 and nginx in a network namespace of their own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.checks import aaaa, authority_chain, content_parity, every_address, home_page, port_parity, tls_parity
from telemetry.verdict import Status
from tests.agent.checks.measuring import SYSTEM, at
from tests.parts.portal import (
    BOTH,
    DEAD,
    GOOD,
    NAMESERVERS,
    NS1,
    NS_DEAD,
    PAGE,
    PORTAL,
    V4,
    Portal,
    portal,
    server,
)

pytestmark = pytest.mark.needs("root", "bind9", "nginx", "iproute2")
PASS, WARN, FAIL, NOT_TESTED = Status
V6_ONLY = server([f"[{PORTAL}]:80", f"[{PORTAL}]:443 ssl"])
V4_ONLY = server([f"{V4}:80", f"{V4}:443 ssl"])


@pytest.mark.parametrize(
    "module", [aaaa, authority_chain, home_page, every_address, port_parity, content_parity, tls_parity]
)
def test_a_good_portal_passes(good_portal: Portal, module: object) -> None:
    finding = at(good_portal, module)  # type: ignore[arg-type]
    assert finding.status == PASS, finding


def test_what_a_good_portal_leaves_as_evidence(good_portal: Portal) -> None:
    told = at(good_portal, aaaa).evidence
    assert told["resolver_aaaa"] == told["authority_aaaa"] == [PORTAL]
    assert told["resolver"] == "::1"
    assert told["authority"] == NS1
    assert f"[{PORTAL}]:443 open" in at(good_portal, port_parity).evidence["ipv6"]  # type: ignore[operator]
    assert at(good_portal, content_parity).evidence["difference"] == 0.0
    asked = at(good_portal, authority_chain).evidence["asked"]
    assert f"ns1.example.gov [{NS1}] udp=ok tcp=ok authoritative=true" in asked  # type: ignore[operator]


def test_a_name_that_does_not_exist_fails_and_the_rest_is_not_tested(good_portal: Portal) -> None:
    nowhere = msgspec.structs.replace(SYSTEM, domains=("nowhere.example.gov",))
    assert at(good_portal, aaaa, nowhere, "nowhere.example.gov").status == FAIL
    for module in (home_page, every_address, port_parity, content_parity, tls_parity):
        finding = at(good_portal, module, nowhere, "nowhere.example.gov")
        assert (finding.status, finding.evidence["reason"]) == (NOT_TESTED, "no_aaaa")


def test_a_dead_second_address_is_a_warning_and_the_page_still_opens(tmp_path: Path) -> None:
    with portal(tmp_path, [*GOOD, f"www AAAA {DEAD}"]) as site:
        assert at(site, every_address).status == WARN
        assert DEAD in at(site, every_address).summary.en
        assert at(site, home_page).status == PASS


def test_addresses_that_nobody_can_reach_are_named(tmp_path: Path) -> None:
    with portal(tmp_path, [*GOOD, "www AAAA 2001:db8::1", "www AAAA fd00::1"]) as site:
        finding = at(site, aaaa)
        assert finding.status == WARN
        assert finding.evidence["unusable"] == ["2001:db8::1 (documentation)", "fd00::1 (unique-local)"]
        inside = msgspec.structs.replace(SYSTEM, private=True)
        assert at(site, aaaa, inside).evidence["unusable"] == ["2001:db8::1 (documentation)"]


def test_a_portal_without_ipv6(tmp_path: Path) -> None:
    with portal(tmp_path, ["@ NS ns1", f"ns1 A {NS_V4_ONLY}", f"www A {V4}"], [V4_ONLY]) as site:
        assert at(site, aaaa).status == FAIL
        assert at(site, authority_chain).status == FAIL
        assert at(site, home_page).evidence["reason"] == "no_aaaa"


NS_V4_ONLY = "198.18.0.53"


def test_an_address_in_dns_with_nothing_behind_it(tmp_path: Path) -> None:
    with portal(tmp_path, GOOD, [V4_ONLY]) as site:
        assert at(site, home_page).status == FAIL
        assert at(site, every_address).status == FAIL
        parity = at(site, port_parity)
        assert parity.status == FAIL
        assert parity.evidence["missing"] == [80, 443]
        assert at(site, content_parity).evidence["reason"] == "not_answered"


def test_an_ipv6_only_portal_is_not_blamed_for_having_no_ipv4(tmp_path: Path) -> None:
    with portal(tmp_path, [*NAMESERVERS, f"www AAAA {PORTAL}"], [V6_ONLY]) as site:
        assert at(site, home_page).status == PASS
        assert at(site, every_address).status == PASS
        for module in (port_parity, content_parity, tls_parity):
            finding = at(site, module)
            assert (finding.status, finding.evidence["reason"]) == (NOT_TESTED, "no_ipv4")


def test_one_name_server_that_answers_is_a_warning_none_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with portal(tmp_path / "a", ["@ NS ns1", "@ NS ns3", f"ns1 AAAA {NS1}", f"ns3 AAAA {NS_DEAD}"], []) as site:
        finding = at(site, authority_chain)
        assert finding.status == WARN
        assert "ns3.example.gov" in finding.summary.en
    with portal(tmp_path / "b", ["@ NS ns3", f"ns3 AAAA {NS_DEAD}"], []) as site:
        assert at(site, authority_chain).status == FAIL


def test_two_names_at_one_address_are_one_name_server(tmp_path: Path) -> None:
    with portal(tmp_path, ["@ NS ns1", "@ NS ns2", f"ns1 AAAA {NS1}", f"ns2 AAAA {NS1}"], []) as site:
        assert at(site, authority_chain).status == WARN


def test_another_page_another_certificate_and_no_hsts_over_ipv6(tmp_path: Path) -> None:
    hsts = 'add_header Strict-Transport-Security "max-age=63072000" always; ssl_protocols TLSv1.2 TLSv1.3;'
    six = server([f"[{PORTAL}]:80", f"[{PORTAL}]:443 ssl"], "other", "ssl_protocols TLSv1.2;", certificate="two")
    four = server([f"{V4}:80", f"{V4}:443 ssl"], "html", hsts)
    with portal(tmp_path, GOOD, [six, four]) as site:
        site.page("<html>维护中</html>", "other")
        content = at(site, content_parity)
        assert content.status == FAIL
        assert float(str(content.evidence["difference"])) > 0.5
        tls = at(site, tls_parity)
        assert tls.status == FAIL
        assert tls.evidence["different"] == ["certificate", "protocols", "hsts"]
        site.page(PAGE.replace("<head>", '<head><script nonce="abc">x</script>'), "other")
        site.page(PAGE.replace("<head>", '<head><script nonce="xyzxyz">x</script>'), "html")
        assert at(site, content_parity).evidence["difference"] == 0.0


def test_errors_and_redirects_over_ipv6(tmp_path: Path) -> None:
    broken = server([f"[{PORTAL}]:443 ssl"], more="return 503;")
    moved = server([f"[{PORTAL}]:80"], more="return 301 https://$host$request_uri;")
    four = server([f"{V4}:80", f"{V4}:443 ssl"])
    with portal(tmp_path, GOOD, [broken, moved, four]) as site:
        page = at(site, home_page)
        assert page.status == FAIL
        assert f"http://{SYSTEM.domains[0]}:80/" in page.evidence["redirects"]  # type: ignore[operator]
        content = at(site, content_parity)
        assert content.status == FAIL
        assert (content.evidence["status_ipv6"], content.evidence["status_ipv4"]) == (503, 200)


def test_a_redirect_to_somebody_else_is_told_and_not_followed(tmp_path: Path) -> None:
    away = server([f"[{PORTAL}]:80", f"[{PORTAL}]:443 ssl"], more="return 302 https://elsewhere.example.com/;")
    with portal(tmp_path, GOOD, [away]) as site:
        page = at(site, home_page)
        assert page.status == PASS
        assert page.evidence["not_followed"] == ["https://elsewhere.example.com/"] * 2


def test_addresses_that_the_agent_has_no_route_to_are_not_the_portals_fault(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with portal(tmp_path / "a", [*NAMESERVERS, "www AAAA 2d00:999::1", f"www A {V4}"]) as site:
        for module in (home_page, every_address, port_parity, content_parity, tls_parity):
            finding = at(site, module)
            assert (finding.status, finding.evidence["reason"]) == (NOT_TESTED, "no_ipv6_route")
    with portal(tmp_path / "b", [*NAMESERVERS, f"www AAAA {PORTAL}", "www A 203.0.113.1"]) as site:
        for module in (port_parity, content_parity, tls_parity):
            assert at(site, module).evidence["reason"] == "no_ipv4"


def test_a_chinese_domain_name(tmp_path: Path) -> None:
    name = "门户.example.gov"
    label = name.split(".")[0].encode("idna").decode()
    named = msgspec.structs.replace(SYSTEM, domains=(name,))
    block = BOTH.replace(SYSTEM.domains[0], f"{label}.example.gov")
    with portal(tmp_path, [*NAMESERVERS, f"{label} AAAA {PORTAL}"], [block]) as site:
        assert at(site, aaaa, named, name).status == PASS
        assert at(site, home_page, named, name).status == PASS


def test_a_redirect_to_itself_for_ever_is_no_page(tmp_path: Path) -> None:
    loop = server([f"[{PORTAL}]:80", f"[{PORTAL}]:443 ssl"], more="return 302 $scheme://$host/;")
    with portal(tmp_path, GOOD, [loop]) as site:
        page = at(site, home_page)
        assert page.status == FAIL
        assert "redirect_loop" in page.summary.en


def test_records_that_lead_back_to_the_agent_are_not_followed(tmp_path: Path) -> None:
    to_itself = server(["[::1]:80", "[::1]:443 ssl", f"{V4}:80"])
    with portal(tmp_path, [*NAMESERVERS, "www AAAA ::1", f"www AAAA ::ffff:{V4}", f"www A {V4}"], [to_itself]) as site:
        assert at(site, aaaa).status == FAIL
        for module in (home_page, every_address, port_parity):
            assert at(site, module).evidence["reason"] == "no_aaaa"


def test_an_alias_to_another_zone_does_not_lend_its_name_servers(tmp_path: Path) -> None:
    with portal(tmp_path, [*GOOD, "alias CNAME example.gov."], []) as site:
        aliased = msgspec.structs.replace(SYSTEM, domains=("alias.example.gov",))
        finding = at(site, authority_chain, aliased, "alias.example.gov")
        assert finding.status == PASS
        assert finding.evidence["zone"] == "example.gov"
