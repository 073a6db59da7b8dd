"""The access switch as a host: the bridge of the bureau's LAN gets a management address, so an agent can run there.

Its namespace holds the bridges of all segments (tests/lab/network.py); only the bureau's is given an address.
"""

from __future__ import annotations

from tests.lab import network
from tests.lab.host import RunningHost
from tests.lab.lab import Lab
from tests.lab.topology import Host, Port, Route

SEGMENT = "bureau"
ADDRESS, GATEWAY = "2d00:100:a0:1::2/64", "2d00:100:a0:1::1"


def manage(lab: Lab) -> RunningHost:
    """``lab["switch"]`` from now on."""
    spec = Host(network.SWITCH, (Port(SEGMENT, v6=ADDRESS),), routes=(Route("default", GATEWAY),))
    network._files(lab.prefix, spec)
    made = RunningHost(lab.prefix, spec, lab.directory / "hosts" / spec.name)
    lab.hosts[spec.name] = made
    settings = ["accept_ra=0", "accept_dad=0", "disable_ipv6=0"]
    made.run("sysctl", "-qw", *(f"net.ipv6.conf.{SEGMENT}.{setting}" for setting in settings))
    made.run("sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    made.run("ip", "link", "set", "lo", "up")
    made.run("ip", "addr", "add", ADDRESS, "dev", SEGMENT, "nodad")
    made.run("ip", "route", "add", "default", "via", GATEWAY)
    return made
