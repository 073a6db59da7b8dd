"""The lab is what it says: real services, both families or IPv6 only, and nothing of it is left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.inventory_source import examine
from tests.lab import extranet, inventory, network
from tests.lab.lab import Lab

pytestmark = pytest.mark.needs("root", "snmpd", "snmp", "radvd", "nginx", "bind9", "thc-ipv6", "iproute2")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["dual-stack", "ipv6-only"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(v4=request.param == "dual-stack") as running:
        yield running


def aaaa(lab: Lab) -> str:
    return lab["probe"].run("dig", "+short", extranet.DOMAIN, "AAAA").stdout.strip()


def test_the_portal_is_reached_by_name_from_the_management_host(lab: Lab) -> None:
    page = lab["mgmt"].run("curl", "-6sk", f"https://{extranet.DOMAIN}/").stdout
    assert "<h1>某某局门户网站</h1>" in page


def test_ipv4_is_there_or_nowhere(lab: Lab) -> None:
    over_v4 = lab["mgmt"].run("curl", "-4s", "-m", "5", f"http://{extranet.DOMAIN}/", check=False)
    addresses = "".join(host.run("ip", "-4", "-br", "addr").stdout for host in lab.hosts.values())
    assert (over_v4.returncode == 0) == lab.v4
    assert ("10.100." in addresses) == lab.v4


def test_routers_answer_snmp_v2c_and_v3(lab: Lab) -> None:
    s = lab.secrets
    v2c = lab["mgmt"].run("snmpget", "-v2c", "-c", s.community, "udp6:[2d00:100:0:f::1]", "1.3.6.1.2.1.4.25.0").stdout
    words = ["-v3", "-l", "authPriv", "-u", s.user, "-a", "SHA", "-A", s.auth, "-x", "AES", "-X", s.priv]
    v3 = lab["mgmt"].run("snmpget", *words, "udp6:[2d00:100:0:1::2]", "1.3.6.1.2.1.1.5.0").stdout
    assert "INTEGER: 1" in v2c  # ipv6IpForwarding: forwarding
    assert 'STRING: "county"' in v3


def test_the_terminal_takes_its_address_from_the_county_router(lab: Lab) -> None:
    terminal = lab["terminal"]
    terminal.until("configured", lambda: "2d00:100:a0:1:" in terminal.run("ip", "-6", "addr").stdout)
    assert lab["county"].spec.link_local("bureau") in terminal.run("ip", "-6", "route").stdout


def test_hosts_are_told_apart(lab: Lab) -> None:
    names = {name: host.run("hostname").stdout.strip() for name, host in lab.hosts.items()}
    machines = {host.run("cat", "/etc/machine-id").stdout for host in lab.hosts.values()}
    assert names == {name: name for name in lab.hosts}
    assert len(machines) == len(lab.hosts)


def test_a_rogue_router_is_believed_by_the_terminal(lab: Lab) -> None:
    lab.start_rogue_ra(seconds=20)
    terminal = lab["terminal"]
    terminal.until("misled", lambda: "2d00:bad:" in terminal.run("ip", "-6", "addr").stdout)
    lab.stop_rogue_ra()
    assert not lab["intruder"].alive("rogue-ra")


def test_a_link_is_cut_and_restored(lab: Lab) -> None:
    def ping() -> bool:
        return lab["mgmt"].run("ping", "-c1", "-W1", extranet.address("portal"), check=False).returncode == 0

    lab.cut("county", "backbone")
    assert not ping()
    lab.restore("county", "backbone")
    lab["mgmt"].until("reachable", ping)


def test_the_portal_loses_and_regains_its_ipv6_address(lab: Lab) -> None:
    lab.set_aaaa(there=False)
    lab["probe"].until("gone", lambda: aaaa(lab) == "")
    lab.set_aaaa(there=True)
    lab["probe"].until("back", lambda: aaaa(lab) == extranet.address("portal"))


def test_the_web_server_stops_and_starts_listening_on_ipv6(lab: Lab) -> None:
    def status() -> int:
        return lab["probe"].run("curl", "-6s", "-m", "5", f"http://{extranet.DOMAIN}/", check=False).returncode

    if lab.v4:
        lab.set_portal(v6=False)
        assert status() == 7  # curl: could not connect
    lab.set_portal(v6=True)
    assert status() == 0


def test_a_relay_reaches_into_the_lab_and_out_of_it(lab: Lab) -> None:
    outer = lab.relay("portal", ("::1", 80), listen="::1")
    inner = lab.relay_in("probe", ("::1", outer))
    there_and_back = lab["probe"].run("curl", "-s", f"http://[::1]:{inner}/").stdout
    assert "<h1>某某局门户网站</h1>" in there_and_back


def test_the_inventory_has_no_problem(lab: Lab, tmp_path: Path) -> None:
    inventory.write(tmp_path, lab.topology, lab.secrets)
    assert examine(tmp_path).problems == []


OWNER = """
import time
from tests.lab.lab import Lab
with Lab.up() as lab:
    print(lab.prefix, lab.directory, flush=True)
    time.sleep(60)
"""


def test_a_killed_owner_leaves_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        prefix, directory = owner.stdout.readline().split()
        assert len(network.namespaces(prefix)) == 8
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (network.namespaces(prefix) or Path(directory).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert network.namespaces(prefix) == []
    assert not Path(directory).exists()
    assert not list(network.NETNS_FILES.glob(f"{prefix}-*"))


def test_what_even_the_guard_left_is_reaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "OWNERS", tmp_path / "owners")
    shared = extranet.Secrets("community-1", "user-1", "password-1", "password-2")
    folder = tmp_path / "lab"
    folder.mkdir()
    network.up("twreap", extranet.topology(shared), folder)
    assert network.reap() == []  # its owner lives
    monkeypatch.setattr(network, "_started", lambda pid: "never")
    assert network.reap() == ["twreap"]
    assert network.namespaces("twreap") == []
    assert not folder.exists()
