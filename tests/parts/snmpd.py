"""A real net-snmp agent on loopback, v2c and v3, IPv4 and IPv6, with a configuration that the test may extend."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.parts import guard

COMMUNITY = "lab-community"
AUTH_KEY, PRIV_KEY = "lab-auth-passphrase", "lab-priv-passphrase"
USERS = {
    "quiet": "",
    "signed": f"SHA {AUTH_KEY}",
    "sealed": f"SHA {AUTH_KEY} AES {PRIV_KEY}",
    "sealed256": f"SHA-256 {AUTH_KEY} AES {PRIV_KEY}",
    "sealed512": f"SHA-512 {AUTH_KEY} AES {PRIV_KEY}",
    "strong": f"SHA-256 {AUTH_KEY} AES-256 {PRIV_KEY}",
    "strong192": f"SHA-512 {AUTH_KEY} AES-192 {PRIV_KEY}",
    "cisco": f"SHA {AUTH_KEY} AES-256-C {PRIV_KEY}",
    "old": f"MD5 {AUTH_KEY} DES {PRIV_KEY}",
}
"""createUser lines by user name."""


class Snmpd:
    """A running agent; it can be ended and started again, which raises its engineBoots."""

    def __init__(self, port: int, home: Path, launch: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.port = port
        self._home = home
        self._launch = launch
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self._launch()
        for _ in range(100):
            with contextlib.suppress(subprocess.SubprocessError):
                if self.bulkwalk(".1.3.6.1.2.1.1.3", "-r0", "-t1"):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"snmpd does not answer: {(self._home / 'log').read_text()}")

    def stop(self) -> None:
        assert self._process is not None
        guard.stop(self._process)

    def bulkwalk(self, where: str, *options: str) -> list[tuple[str, str]]:
        """(numeric OID, value) as the C tools see it: the oracle."""
        command = ["snmpbulkwalk", "-v2c", "-c", COMMUNITY, "-On", "-Oe", "-OU", "-Ox", *options]
        done = subprocess.run(
            [*command, f"udp6:[::1]:{self.port}", where],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={**os.environ, "MIBS": ""},
        )
        lines = [line.split(" = ", 1) for line in done.stdout.splitlines() if " = " in line]
        return [(name, value) for name, value in lines]


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def snmpd(home: Path, extra: Sequence[str] = ()) -> Iterator[Snmpd]:
    """Start, wait until it answers, and end it."""
    port = free_udp_port()
    state = home / "state"
    state.mkdir(parents=True, exist_ok=True)
    lines = [f"agentaddress udp:127.0.0.1:{port},udp6:[::1]:{port}"]
    lines += [
        f"rocommunity {COMMUNITY}",
        f"rocommunity6 {COMMUNITY}",
        "sysLocation 南昌 机房",
        "sysContact noc@example.gov",
    ]
    for user, keys in USERS.items():
        level = "noauth" if not keys else "priv" if len(keys.split()) > 2 else "auth"
        lines += [f"createUser {user} {keys}".rstrip(), f"rouser {user} {level}"]
    config = home / "snmpd.conf"
    config.write_text("\n".join([*lines, *extra]) + "\n")
    binary = shutil.which("snmpd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert binary
    environment = {**os.environ, "SNMP_PERSISTENT_DIR": str(state), "MIBS": ""}
    command = [binary, "-f", "-C", "-c", str(config), "-Lf", str(home / "log"), "-r", f"-p{home / 'pid'}"]
    made = Snmpd(port, home, lambda: guard.start(command, env=environment))
    made.start()
    try:
        yield made
    finally:
        made.stop()
