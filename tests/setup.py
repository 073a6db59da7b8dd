"""What ``make test`` runs first: the Debian packages and the servers that the tests use.

As root it installs the packages that are missing; as another user it prints the one command that would, and stops.
Does nothing, quickly, where everything is there. Debian 12 and Ubuntu 24.04.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
PACKAGES = {
    "bind9": "named",
    "bind9-dnsutils": "dig",
    "chromium": "chromium",
    "curl": "curl",
    "dnsmasq-base": "dnsmasq",
    "dsniff": "arpspoof",
    "ethtool": "ethtool",
    "fonts-noto-cjk": "",
    "hping3": "hping3",
    "hydra": "hydra",
    "iodine": "iodine",
    "iproute2": "ip",
    "iputils-ping": "ping",
    "isc-dhcp-client": "dhclient",
    "ndisc6": "rdisc6",
    "nfdump": "nfcapd",
    "nftables": "nft",
    "nginx-light": "nginx",
    "nmap": "nmap",
    "openssh-server": "sshd",
    "procps": "ps",
    "prometheus": "prometheus",
    "radvd": "radvd",
    "snmp": "snmpget",
    "snmpd": "snmpd",
    "softflowd": "softflowd",
    "tcpdump": "tcpdump",
    "arping": "arping",
    "thc-ipv6": "atk6-fake_router26",
    "tshark": "tshark",
    "udhcpc": "udhcpc",
    "zstd": "zstd",
    "default-jre-headless": "java",
    "maven": "mvn",
}
"""Package, and the program that shows that it is there (however it was installed)."""

PATH = os.environ.get("PATH", "") + f":/usr/sbin:/sbin:/usr/local/sbin:{TOOLS / 'bin'}"
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """The packages that are not there."""
    out = []
    for package, program in PACKAGES.items():
        there = shutil.which(program, path=PATH) if program else _installed(package)
        if not there:
            out.append(package)
    return out


def main() -> int:
    if packages := missing():
        if os.geteuid() != 0:
            print("The tests need these packages:", *packages, sep="\n  ", file=sys.stderr)
            print(f"\n  sudo apt-get install -y --no-install-recommends {' '.join(packages)}", file=sys.stderr)
            return 1
        install(packages)
        if still := missing():
            print("could not be installed:", *still, file=sys.stderr)
            return 1
    fetch()
    return 0


def install(packages: list[str]) -> None:
    """apt-get, without starting a single service."""
    with services_stay_down():
        _say("apt-get update")
        _apt("update", "-q")
        if "chromium" in packages and not _available("chromium"):
            packages = [p for p in packages if p != "chromium"]
            chromium_of_playwright()
        _say(f"installing {len(packages)} packages: {' '.join(packages)}")
        if packages:
            _apt("install", "-q", "-y", "--no-install-recommends", *packages)


def chromium_of_playwright() -> None:
    """Ubuntu has Chromium only as a snap, which can not be driven here: take the build that Playwright ships."""
    _say("chromium: fetching the build of Playwright")
    environment = os.environ | {"PLAYWRIGHT_BROWSERS_PATH": str(TOOLS / "playwright")}
    command = [sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]
    subprocess.run(command, check=True, env=environment)
    program = next((TOOLS / "playwright").glob("chromium-*/chrome-linux*/chrome"))
    (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
    (TOOLS / "bin/chromium").unlink(missing_ok=True)
    (TOOLS / "bin/chromium").symlink_to(program)


def fetch() -> None:
    """Elasticsearch in every version that is tested, and a Java that runs it where the system's is too old."""
    sys.path.insert(0, str(ROOT))
    from tests.parts import elasticsearch, smsc

    if any(elasticsearch.java_home(version) is None for version in elasticsearch.JAVA_OF):
        _say("fetching a newer Java for Elasticsearch 9")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        pip += ["--require-hashes", "-r", str(ROOT / "requirements/java.txt"), "--target", str(TOOLS / "java")]
        subprocess.run(pip, check=True)
    for version in elasticsearch.JAVA_OF:
        if not (TOOLS / f"elasticsearch-{version}").exists():
            _say(f"fetching Elasticsearch {version}")
            elasticsearch.ensure(version)
    smsc.ensure()


@contextmanager
def services_stay_down() -> Iterator[None]:
    """policy-rc.d is what Debian's post-install scripts ask before they start a service; 101 is no."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def _installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f=${Status}", package], check=False, capture_output=True, text=True
    ).stdout
    return asked.endswith("ok installed")


def _available(package: str) -> bool:
    """A real package, not Ubuntu's stub that asks for a snap."""
    asked = subprocess.run(["apt-cache", "policy", package], check=False, capture_output=True, text=True).stdout
    return "Candidate: " in asked and "Candidate: (none)" not in asked and "snap" not in asked


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for attempt in range(3):
        done = subprocess.run(
            ["apt-get", *arguments], check=False, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        if done.returncode == 0:
            return
        if attempt < 2:
            _say(f"apt-get {arguments[0]} failed, trying again")
            time.sleep(5)
    raise SystemExit(f"apt-get {arguments[0]} failed")


def _say(text: str) -> None:
    print(f"[setup] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
