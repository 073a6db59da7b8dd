"""Shared by all tests: what a test needs, what happens where it is not there, and the servers that tests share.

A test says which real part it uses with ``@pytest.mark.needs("snmpd")``. Where the part is missing the test is
skipped with the reason; in strict mode (``TENGWANG_STRICT=1``, as in CI) a missing part is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.parts import elasticsearch as elasticsearch_part

hypothesis.settings.register_profile("tengwang", deadline=None)  # a busy machine is no finding
hypothesis.settings.load_profile("tengwang")

TOOLS = Path(__file__).resolve().parents[1] / ".tools"
os.environ["PATH"] = os.environ.get("PATH", "") + f":/usr/sbin:/sbin:/usr/local/sbin:{TOOLS / 'bin'}"

BINARIES = {
    "elasticsearch": "java",
    "smsc": "java",
    "chromium": "chromium",
    "snmpd": "snmpd",
    "snmp": "snmpget",
    "softflowd": "softflowd",
    "radvd": "radvd",
    "nginx": "nginx",
    "bind9": "named",
    "thc-ipv6": "atk6-fake_router26",
    "arping": "arping",
    "dnsmasq": "dnsmasq",
    "dsniff": "arpspoof",
    "hping3": "hping3",
    "hydra": "hydra",
    "iodine": "iodine",
    "dhclient": "dhclient",
    "nmap": "nmap",
    "sshd": "sshd",
    "udhcpc": "udhcpc",
    "ndisc6": "rdisc6",
    "tshark": "tshark",
    "tcpdump": "tcpdump",
    "prometheus": "prometheus",
    "iproute2": "ip",
    "nftables": "nft",
    "nfdump": "nfcapd",
}


def missing(part: str) -> str:
    """Why a part can not be used here; empty where it can."""
    if part == "root":
        return "" if os.geteuid() == 0 else "needs root"
    binary = BINARIES[part]
    return "" if shutil.which(binary) else f"needs {binary} ({part})"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for part in mark.args:
            if why := missing(part):
                if os.environ.get("TENGWANG_STRICT"):
                    pytest.fail(f"strict mode: {why}", pytrace=False)
                pytest.skip(why)


LAB = ("e2e", "chaos", "lab")
"""Folders whose tests take the whole machine's attention: never two of them at once."""


def in_lab(nodeid: str) -> bool:
    return not {*nodeid.partition("::")[0].split("/")}.isdisjoint(LAB)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file stay with one worker, and all those in the lab."""

    def _split_scope(self, nodeid: str) -> str:
        return "lab" if in_lab(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those in the lab begin first: they take as long as all others."""
    items.sort(key=lambda item: not in_lab(item.nodeid))


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[elasticsearch_part.Cluster]:
    """One node without TLS, shared by the whole run: each test takes an index prefix of its own."""
    with elasticsearch_part.start() as cluster:
        yield cluster
