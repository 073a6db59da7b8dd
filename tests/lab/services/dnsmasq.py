"""dnsmasq: DHCP and DHCPv6 on a segment, as a bureau's own server or as one that somebody brought along."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host import RunningHost


@dataclass(frozen=True)
class Dnsmasq:
    """``v4`` and ``v6`` are ranges as dnsmasq writes them; empty: none of that family. ``dns`` is what it hands out."""

    segment: str
    v4: str = ""
    v6: str = ""
    dns: str = ""
    dns6: str = ""
    name: str = "dnsmasq"

    def start(self, host: RunningHost) -> None:
        lines = ["port=0", f"interface={self.segment}", "bind-interfaces", "dhcp-authoritative", "no-ping"]
        lines += ["log-facility=-", f"dhcp-leasefile={host.directory / 'dnsmasq.leases'}"]
        lines += [f"dhcp-range={wanted},2m" for wanted in (self.v4, self.v6) if wanted]
        lines += [f"dhcp-option=option:dns-server,{self.dns}"] if self.dns else []
        lines += [f"dhcp-option=option6:dns-server,[{self.dns6}]"] if self.dns6 else []
        config = host.directory / "dnsmasq.conf"
        config.write_text("\n".join(lines) + "\n")
        host.start(self.name, "dnsmasq", "-k", "-u", "root", "-C", config)
        for wanted, port in ((self.v4, 67), (self.v6, 547)):
            if wanted:
                host.until(f"dnsmasq listens on port {port}", lambda port=port: host.listens(port, "udp"), self.name)  # type: ignore[misc]
