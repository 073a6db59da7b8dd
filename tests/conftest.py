"""Shared by all tests: what a test needs, and what happens where it is not there.

A test says which real part it uses with ``@pytest.mark.needs("snmpd")``. Where the part is missing the test is
skipped with the reason; in strict mode (``TENGWANG_STRICT=1``, as in CI) a missing part is a failure.
"""

from __future__ import annotations

import os
import shutil

import pytest

BINARIES = {
    "elasticsearch": "java",
    "chromium": "chromium",
    "snmpd": "snmpd",
    "radvd": "radvd",
    "nginx": "nginx",
    "bind9": "named",
    "thc-ipv6": "atk6-fake_router26",
    "tshark": "tshark",
    "iproute2": "ip",
}


def missing(part: str) -> str:
    """Why a part can not be used here; empty where it can."""
    if part == "root":
        return "" if os.geteuid() == 0 else "needs root"
    binary = BINARIES[part]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    return "" if shutil.which(binary, path=path) else f"needs {binary} ({part})"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for part in mark.args:
            if why := missing(part):
                if os.environ.get("TENGWANG_STRICT"):
                    pytest.fail(f"strict mode: {why}", pytrace=False)
                pytest.skip(why)
