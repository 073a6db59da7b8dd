"""net-snmp's agent: SNMP v2c and v3 (SHA, AES) over IPv6 and IPv4."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host import RunningHost


@dataclass(frozen=True)
class Snmpd:
    community: str
    user: str
    auth: str
    priv: str
    location: str = ""
    v4: bool = True
    name: str = "snmpd"

    def start(self, host: RunningHost) -> None:
        folder = host.directory / "snmp"
        folder.mkdir(exist_ok=True)
        config = folder / "snmpd.conf"
        lines = [
            "agentaddress udp6:[::]:161" + (",udp:0.0.0.0:161" if self.v4 else ""),
            f"rocommunity6 {self.community}",
            *([f"rocommunity {self.community}"] if self.v4 else []),
            f"createUser {self.user} SHA {self.auth} AES {self.priv}",
            f"rouser {self.user} priv",
            f"sysName {host.name}",
            f"sysLocation {self.location or host.name}",
            "sysContact noc@lab.test",
        ]
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        words = ("snmpd", "-f", "-Lo", "-C", "-c", config, "-p", folder / "pid", "-I", "-smux")
        host.start(self.name, *words, env={"SNMP_PERSISTENT_DIR": str(folder / "persistent"), "MIBS": ""})
        host.until("snmpd answers on port 161", lambda: host.listens(161, "udp"), self.name)
