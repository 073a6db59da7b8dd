"""An hour of ordinary work on the bureau's segment raises nothing that would wake anybody.

Short by default and dense: what happens in an hour happens here within ``TENGWANG_BENIGN_SECONDS`` (90). With 3600 it
is the full hour, at the same pace.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.extranet_site import Fields
from tests.e2e.segment_site import GATEWAY4, PROBE4, SEGMENT, Segment, up
from tests.lab import extranet
from tests.lab.host import RunningHost

SECONDS = float(os.environ.get("TENGWANG_BENIGN_SECONDS", "90"))
pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "iproute2", "dnsmasq", "udhcpc", "dhclient"),
    pytest.mark.timeout(SECONDS + 180),
]
PAGE = f"http://{extranet.DOMAIN}/"
RESOLVER = extranet.address("mgmt")
WAKES = "rule.level:medium,high,critical"


@pytest.fixture(scope="module")
def site() -> Iterator[Segment]:
    with up() as running:
        yield running


def serve_addresses(host: RunningHost) -> None:
    """The registered DHCP and DHCPv6 server: the router."""
    words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={SEGMENT}", "--no-ping"]
    ranges = [
        "--dhcp-range=10.100.160.100,10.100.160.149,10m",
        "--dhcp-range=2d00:100:a0:1::d000,2d00:100:a0:1::dfff,64,10m",
    ]
    options = [f"--dhcp-option=option:router,{GATEWAY4}", f"--dhcp-leasefile={host.directory / 'leases'}"]
    host.start("dhcp", *words, *ranges, *options, "--dhcp-broadcast")


def visit(host: RunningHost) -> None:
    """Web over both families, names that exist and one that does not, a ping."""
    for family in ("-4", "-6"):
        host.run("curl", "-s", "-o", "/dev/null", "-m", "5", family, PAGE, check=False)
    for name, kind in ((extranet.DOMAIN, "AAAA"), (extranet.DOMAIN, "A"), (f"wpad.{extranet.ZONE}", "A")):
        host.run("dig", "+time=2", "+tries=1", f"@{RESOLVER}", name, kind, check=False)
    host.run("ping", "-c", "2", "-i", "0.2", "-W", "1", PROBE4, check=False)


def ask_for_addresses(host: RunningHost) -> None:
    """DHCP and DHCPv6, as a host does that comes onto the network."""
    host.run("udhcpc", "-i", SEGMENT, "-n", "-q", "-f", "-t", "3", "-T", "1", "-s", "/bin/true", check=False)
    files: list[str | Path] = ["-lf", host.directory / "leases6", "-pf", host.directory / "dhclient.pid"]
    host.run("timeout", "6", "dhclient", "-6", "-d", "-1", "-sf", "/bin/true", *files, SEGMENT, check=False)


def roam(site: Segment, host: RunningHost) -> None:
    """Out of one socket and into the next: carrier goes and comes, addresses are made and tested anew."""
    site.lab.cut(host.name, SEGMENT)
    time.sleep(1.0)
    site.lab.restore(host.name, SEGMENT)
    ask_for_addresses(host)


def reboot(host: RunningHost) -> None:
    """All addresses gone, the interface down and up: solicitations, DAD, SLAAC, DHCP, as at a start."""
    v4 = host.spec.address(SEGMENT, 4)
    host.run("ip", "address", "flush", "dev", SEGMENT)
    host.run("ip", "link", "set", SEGMENT, "down")
    host.run("ip", "link", "set", SEGMENT, "up")
    host.run("ip", "address", "add", f"{v4}/24", "dev", SEGMENT)
    host.run("ip", "route", "replace", "default", "via", GATEWAY4)
    ask_for_addresses(host)


def administer(host: RunningHost) -> None:
    """What a person does who looks after the segment: a few pings, a trace, a look at a server's port."""
    for address in (GATEWAY4, "10.100.160.80", "10.100.15.10"):
        host.run("ping", "-c", "1", "-W", "1", address, check=False)
    host.run("curl", "-s", "-m", "2", "http://10.100.160.80:8080/", check=False)


def said(alert: Fields) -> str:
    about = ("source.ip", "source.mac", "destination.ip", "tengwang.device.id", "tengwang.check.id", "agent.name")
    return f"{alert['rule.name']}: " + " ".join(f"{name}={alert[name]}" for name in about if name in alert)


def test_a_benign_hour_wakes_nobody(site: Segment) -> None:
    since = site.now_ms()
    terminal, intruder, probe = (site.lab[name] for name in ("terminal", "intruder", "probe"))
    for host in (terminal, intruder):
        settings = (f"net.ipv6.conf.{SEGMENT}.accept_dad=1", f"net.ipv6.conf.{SEGMENT}.dad_transmits=1")
        host.run("sysctl", "-qw", *settings)
        host.run("ip", "route", "replace", "default", "via", GATEWAY4)
    serve_addresses(site.lab["county"])
    rounds, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        for host in (terminal, intruder, probe):
            visit(host)
        if rounds % 4 == 0:
            roam(site, terminal)
        if rounds % 4 == 1:
            reboot(intruder)
        if rounds % 4 == 2:
            ask_for_addresses(probe)
            administer(terminal)
        if rounds == 3:
            assert site.agents["bureau"].stop() == 0
            site.agents["bureau"].start()
        rounds += 1
        time.sleep(0.5)
    assert rounds >= 4
    for seen in (
        "dataset:tengwang.dns action:summary unit:bureau",
        "dataset:tengwang.dhcp network.type:ipv4 tengwang.dhcp.registered:true unit:bureau",
        "dataset:tengwang.dhcp network.type:ipv6 tengwang.dhcp.registered:true unit:bureau",
        "dataset:tengwang.terminals tengwang.terminal.registered:true unit:bureau",
        "dataset:tengwang.ndp action:router_solicitation unit:bureau",
        f"dataset:tengwang.flow unit:bureau dst:{extranet.address('portal')} port:80",
        "dataset:tengwang.agent action:stop unit:bureau",
    ):
        site.sees(seen)
    time.sleep(5)
    assert [said(one) for one in site.alerts(WAKES, since)] == []
    quiet = {one["rule.name"] for one in site.alerts("rule.level:low,informational", since)}
    print(f"{rounds} rounds in {SECONDS:.0f} s; low or informational: {sorted(quiet)}")
