"""BIND 9: authoritative for the lab's zones, or the resolver with a root of its own. Never asks the real internet."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from tests.lab.host import RunningHost


@dataclass(frozen=True)
class Bind9:
    """``zones`` maps a zone to its records, one a line; SOA and TTL are added. ``recursion`` makes it a resolver."""

    zones: Mapping[str, tuple[str, ...]]
    recursion: bool = False
    v4: bool = True
    name: str = "named"

    def start(self, host: RunningHost) -> None:
        folder = host.directory / "named"
        folder.mkdir(exist_ok=True)
        stanzas = []
        for number, (zone, records) in enumerate(self.zones.items()):
            write_zone(host, zone, records, 1, number)
            stanzas.append(f'zone "{zone}" {{ type primary; file "{number}.zone"; }};')
        config = folder / "named.conf"
        config.write_text(
            f'options {{ directory "{folder}"; pid-file "named.pid"; session-keyfile none; managed-keys-directory '
            f'"{folder}"; listen-on-v6 {{ any; }}; listen-on {{ {"any" if self.v4 else "none"}; }}; '
            f"recursion {'yes' if self.recursion else 'no'}; allow-recursion {{ any; }}; allow-query {{ any; }}; "
            "dnssec-validation no; empty-zones-enable no; minimal-responses no-auth; max-cache-ttl 2; "
            "max-ncache-ttl 2; notify no; allow-transfer { none; }; };\n"
            "controls {};\n" + "\n".join(stanzas) + "\n"
        )
        # A copy, because AppArmor's profile for /usr/sbin/named (Ubuntu) lets it read only /etc/bind.
        program = shutil.copy(shutil.which("named") or "named", folder / "named")
        host.start(self.name, program, "-g", "-c", config, "-n", "1")
        host.until("named answers", lambda: _answers(host, next(iter(self.zones))), self.name)


def _answers(host: RunningHost, zone: str) -> bool:
    return "NOERROR" in host.run("dig", "+time=1", "+tries=1", "@::1", zone, "SOA", check=False).stdout


def write_zone(host: RunningHost, zone: str, records: tuple[str, ...], serial: int, number: int = 0) -> None:
    """The SOA's negative TTL is 1 s, so that what a test changes is soon seen."""
    soa = f"@ 2 IN SOA ns1.{zone.lstrip('.')} hostmaster.{zone.lstrip('.')} ( {serial} 60 60 3600 1 )"
    lines = ["$TTL 2", f"$ORIGIN {zone}", soa, *records]
    (host.directory / "named" / f"{number}.zone").write_text("\n".join(lines) + "\n")


def reload(host: RunningHost) -> None:
    """Read the zone files again."""
    host.running["named"].send_signal(signal.SIGHUP)
