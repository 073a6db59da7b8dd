"""radvd: the legitimate source of router advertisements on a segment."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.host import RunningHost


@dataclass(frozen=True)
class Radvd:
    segment: str
    prefix: str
    rdnss: str = ""
    name: str = "radvd"

    def start(self, host: RunningHost) -> None:
        rdnss = f"  RDNSS {self.rdnss} {{}};\n" if self.rdnss else ""
        config = host.directory / "radvd.conf"
        config.write_text(
            f"interface {self.segment} {{\n"
            "  AdvSendAdvert on;\n  MinRtrAdvInterval 3;\n  MaxRtrAdvInterval 10;\n"
            f"  prefix {self.prefix} {{}};\n{rdnss}}};\n"
        )
        config.chmod(0o600)  # radvd refuses a file that others can write
        pid = host.directory / "radvd.pid"
        host.start(self.name, "radvd", "-n", "-C", config, "-p", pid, "-m", "stderr", "-d", "1")
        host.until("radvd has started", pid.exists, self.name)
