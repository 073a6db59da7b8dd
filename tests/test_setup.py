"""What ``make test`` says and does before the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import setup

PROGRAM = Path(setup.__file__)


def run_without(tmp_path: Path, *absent: str) -> subprocess.CompletedProcess[str]:
    """The set-up as an ordinary user on a machine that lacks some programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dpkg-query", "sh", *filter(None, setup.PACKAGES.values())):
        there = shutil.which(name, path=setup.PATH)
        if there and name not in absent:
            (programs / name).symlink_to(there)
    code = (
        f"import os, sys; sys.path.insert(0, {str(PROGRAM.parents[1])!r}); from tests import setup; "
        f"setup.PATH = {str(programs)!r}; os.geteuid = lambda: 1000; sys.exit(setup.main())"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


def test_an_ordinary_user_is_told_the_one_command(tmp_path: Path) -> None:
    done = run_without(tmp_path, "snmpd", "radvd")
    assert done.returncode == 1
    assert "  sudo apt-get install -y --no-install-recommends radvd snmpd\n" in done.stderr


@pytest.mark.needs("elasticsearch", "chromium", "snmpd", "radvd", "nginx", "bind9", "thc-ipv6", "tshark", "prometheus")
def test_it_does_nothing_where_all_is_there() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], check=False, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_service_starts_while_packages_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(setup, "POLICY", policy)
    with setup.services_stay_down():
        assert subprocess.run([str(policy)], check=False).returncode == 101
    assert not policy.exists()
