"""The tools that intruders use, run for real on the bureau's segment: each is an alert of the right rule and unit.

What an agent can hear decides where a tool is aimed: a switch brings unicast only to whom it is for, so floods of one
target, guessed passwords and tunnels go to the host of the bureau's agent, and a sweep over other segments is seen by
the router's. Each is bounded to seconds.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.segment_site import GATEWAY4, PROBE4, PROBE6, SEGMENT, Segment, up
from tests.lab import extranet
from tests.lab.host import RunningHost

pytestmark = [
    pytest.mark.needs("root", "snmpd", "radvd", "nginx", "bind9", "thc-ipv6", "iproute2", "nmap", "hping3", "iodine"),
    pytest.mark.needs("hydra", "sshd", "dnsmasq", "udhcpc", "dhclient", "dsniff", "arping"),
    pytest.mark.timeout(120),
]
STRANGER = "00:1b:21:0a:0b:0c"
FROM4, FROM6 = "10.100.160.66", "2d00:100:a0:1::66"
TUNNELLED, ZONE = "10.177.0.1", "t.tunnel.test"


@dataclass(frozen=True)
class Tool:
    """What is run on the segment, the rule that must find it, for which unit, and in how many seconds at most."""

    name: str
    rule: str
    run: Callable[[Segment, RunningHost], None]
    unit: str = "bureau"
    within: float = 20.0


def stranger(site: Segment, intruder: RunningHost) -> None:
    port = site.plug_in("intruder", STRANGER)
    intruder.run("ip", "address", "add", "10.100.160.99/24", "dev", port, "noprefixroute")
    intruder.run("arping", "-c", "2", "-w", "3", "-S", "10.100.160.99", "-i", port, PROBE4, check=False)


def dhcp_server(site: Segment, intruder: RunningHost) -> None:
    serve_dhcp(intruder, "--dhcp-broadcast", "--dhcp-range=10.100.160.200,10.100.160.220,2m")
    asking = ["udhcpc", "-i", SEGMENT, "-B", "-n", "-q", "-f", "-t", "3", "-T", "1", "-s", "/bin/true"]
    site.lab["terminal"].run(*asking, check=False)


def dhcpv6_server(site: Segment, intruder: RunningHost) -> None:
    """It answers the agent's own host."""
    serve_dhcpv6(intruder, site.lab["probe"])


def dhcpv6_server_of_others(site: Segment, intruder: RunningHost) -> None:
    """It answers a terminal, which the agent does not hear; but it hears the terminal name the server."""
    serve_dhcpv6(intruder, site.lab["terminal"])


def serve_dhcpv6(intruder: RunningHost, client: RunningHost) -> None:
    serve_dhcp(intruder, "--dhcp-range=2d00:100:a0:1::a000,2d00:100:a0:1::afff,64,2m")
    files: list[str | Path] = ["-lf", client.directory / "leases", "-pf", client.directory / "dhclient.pid"]
    client.start("client", "timeout", "8", "dhclient", "-6", "-d", "-1", "-sf", "/bin/true", *files, SEGMENT)


def serve_dhcp(host: RunningHost, *options: str) -> None:
    words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", f"--interface={SEGMENT}", "--no-ping"]
    host.start("tool", *words, f"--dhcp-leasefile={host.directory / 'dnsmasq.leases'}", *options)
    time.sleep(0.5)
    assert host.alive("tool"), host.log("tool")


def tunnel_6in4(site: Segment, intruder: RunningHost) -> None:
    """Its packets, made by hand: a kernel does not always have the module for it."""
    layers = "from scapy.layers.inet import IP; from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6"
    inner = "IPv6(src='2d00:77::1', dst='2d00:77::2') / ICMPv6EchoRequest()"
    packets = f"[IP(src='{FROM4}', dst='{PROBE4}', proto=41) / {inner}] * 5"
    send = f"from scapy.sendrecv import send; send({packets}, inter=0.2, verbose=False)"
    intruder.start("tool", sys.executable, "-c", f"{layers}; {send}")


def dns_tunnel(site: Segment, intruder: RunningHost) -> None:
    probe = site.lab["probe"]
    probe.start("iodined", "iodined", "-f", "-c", "-P", "secret", TUNNELLED, ZONE)
    probe.until("serving", lambda: probe.listens(53, "udp"), "iodined")
    intruder.start("tool", "iodine", "-f", "-r", "-P", "secret", PROBE4, ZONE)
    intruder.until("tunnelled", lambda: "Connection setup complete" in intruder.log("tool"), "tool", 30)
    intruder.run("ping", "-c", "10", "-i", "0.2", "-s", "600", TUNNELLED, check=False)


def ssh_guessing(site: Segment, intruder: RunningHost) -> None:
    probe = site.lab["probe"]
    key = probe.directory / "host_key"
    probe.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    probe.run("mkdir", "-p", "/run/sshd")
    options = ["-o", "MaxStartups=100", "-o", f"PidFile={probe.directory / 'sshd.pid'}", "-o", "UsePAM=no"]
    probe.start("sshd", "/usr/sbin/sshd", "-D", "-f", "/dev/null", "-h", key, *options)
    probe.until("serving", lambda: probe.listens(22), "sshd")
    words = intruder.directory / "words"
    words.write_text("".join(f"secret{number}\n" for number in range(60)))
    intruder.start("tool", "timeout", "8", "hydra", "-I", "-l", "nobody", "-P", words, "-t", "8", f"ssh://{PROBE4}")


def arp_spoofing(site: Segment, intruder: RunningHost) -> None:
    intruder.start("tool", "timeout", "5", "arpspoof", "-i", SEGMENT, "-t", PROBE4, GATEWAY4)


def fake_router(site: Segment, intruder: RunningHost) -> None:
    intruder.start("tool", "timeout", "5", "atk6-fake_router26", "-A", extranet.ROGUE_PREFIX, SEGMENT)


def parasite(site: Segment, intruder: RunningHost) -> None:
    """It answers who asks for an address, here the agent's host that asks for its router's; and passes traffic on."""
    intruder.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    router = site.lab["county"].spec.link_local(SEGMENT)
    intruder.run("ip", "-6", "route", "replace", "default", "via", router, "dev", SEGMENT)
    intruder.start("tool", "timeout", "8", "atk6-parasite6", SEGMENT)
    time.sleep(1)
    probe = site.lab["probe"]
    for _ in range(3):
        probe.run("ip", "-6", "neighbor", "flush", "dev", SEGMENT)
        probe.run("ping", "-6", "-c", "1", "-W", "1", "2d00:100:a0:1::1", check=False)


def deny_addresses(site: Segment, intruder: RunningHost) -> None:
    intruder.start("tool", "timeout", "8", "atk6-dos-new-ip6", SEGMENT)
    time.sleep(1)
    terminal = site.lab["terminal"]
    terminal.run("sysctl", "-qw", f"net.ipv6.conf.{SEGMENT}.accept_dad=1", f"net.ipv6.conf.{SEGMENT}.dad_transmits=1")
    for number in range(3):
        terminal.run("ip", "address", "add", f"2d00:100:a0:1::d{number}/64", "dev", SEGMENT)
        time.sleep(0.5)


def port_scan(site: Segment, intruder: RunningHost) -> None:
    intruder.run("nmap", "-6", "-n", "-Pn", "-sS", "--top-ports", "400", PROBE6)


def ping_sweep(site: Segment, intruder: RunningHost) -> None:
    intruder.run("nmap", "-6", "-n", "-sn", "--max-retries", "0", "2d00:100:0:f::/121", check=False, timeout=30)


def arp_sweep(site: Segment, intruder: RunningHost) -> None:
    intruder.run("nmap", "-n", "-sn", "--max-retries", "0", "10.100.160.0/24", check=False, timeout=30)


def syn_flood(site: Segment, intruder: RunningHost) -> None:
    intruder.run("timeout", "1", "hping3", "-q", "-S", "--flood", "-p", "80", PROBE4, check=False)


def forged_syn_flood(site: Segment, intruder: RunningHost) -> None:
    intruder.run("timeout", "1", "hping3", "-q", "-S", "--flood", "--rand-source", "-p", "81", PROBE4, check=False)


def flood_advertisements(site: Segment, intruder: RunningHost) -> None:
    intruder.run("timeout", "1", "atk6-flood_advertise6", SEGMENT, check=False)


def flood_solicitations(site: Segment, intruder: RunningHost) -> None:
    intruder.run("timeout", "1", "atk6-flood_solicitate6", SEGMENT, check=False)


def flood_routers(site: Segment, intruder: RunningHost) -> None:
    intruder.run("timeout", "1", "atk6-flood_router26", SEGMENT, check=False)


TOOLS = (
    Tool("an unregistered terminal", "link/unregistered_terminal", stranger),
    Tool("a second DHCP server", "link/rogue_dhcp_server", dhcp_server),
    Tool("a second DHCPv6 server", "link/rogue_dhcpv6_server", dhcpv6_server),
    Tool("a second DHCPv6 server, of others", "link/unregistered_dhcp_server_named", dhcpv6_server_of_others),
    Tool("a 6in4 tunnel", "ipv6/ipv6_in_ipv4_tunnel", tunnel_6in4),
    Tool("iodine", "dns/tunnel", dns_tunnel, within=30.0),
    Tool("hydra on ssh", "traffic/ssh_password_guessing", ssh_guessing, within=40.0),
    Tool("arpspoof", "link/arp_registered_address_claimed", arp_spoofing),
    Tool("fake_router26", "ndp/rogue_router_advertisement", fake_router),
    Tool("parasite6", "ndp/registered_address_claimed", parasite),
    Tool("dos-new-ip6", "ndp/new_hosts_denied", deny_addresses),
    Tool("nmap -6 -sS", "traffic/port_scan", port_scan),
    Tool("nmap -6 -sn", "traffic/host_sweep", ping_sweep, unit="county"),
    Tool("nmap -sn", "link/arp_scan", arp_sweep),
    Tool("hping3 --flood", "traffic/syn_flood_from_one_source", syn_flood),
    Tool("flood_advertise6", "ndp/neighbor_advertisement_flood", flood_advertisements),
    Tool("flood_solicitate6", "ndp/neighbor_solicitation_flood", flood_solicitations),
    Tool("hping3 --flood --rand-source", "traffic/syn_flood_on_one_target", forged_syn_flood, within=30.0),
    Tool("flood_router26", "ndp/router_advertisement_flood", flood_routers),
)
"""What floods comes last: it disturbs the hosts of the segment for a while."""


@pytest.fixture(scope="module")
def site() -> Iterator[Segment]:
    with up() as running:
        yield running


@pytest.fixture
def intruder(site: Segment) -> Iterator[RunningHost]:
    """The intruder's host; what runs there and is left at the end of a test is ended."""
    host = site.lab["intruder"]
    yield host
    for name in list(host.running):
        host.kill(name)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_is_found(site: Segment, intruder: RunningHost, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    began, since = time.monotonic(), site.now_ms()
    tool.run(site, intruder)
    alert = site.alert(tool.rule, since, tool.within, f"unit:{tool.unit}")
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{tool.name:34s} {tool.rule:40s} {alert['rule.level']:8s} {took:5.1f} s", end="")
    assert alert["tengwang.unit.id"] == tool.unit
    assert alert["tengwang.rule.name.zh"]


def test_what_floods_is_one_incident_and_no_crowd_of_them(site: Segment) -> None:
    found = site.collector.get("incidents")["incidents"]
    waking = Counter(one["title"]["en"] for one in found if one["level"] in ("medium", "high", "critical"))
    assert waking
    for title in ("Router advertisement from a router that is not registered", "SYN flood by one source"):
        assert waking[title] <= 1
    assert waking["Flood of neighbour advertisements"] + waking["Flood of neighbour solicitations"] <= 1
    assert sum(waking.values()) <= len(TOOLS) + 8, waking
