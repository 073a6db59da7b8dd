"""A running lab: the extranet's hosts with their services, and what can be done to them.

    with Lab.up() as lab:
        lab["terminal"].run("ping", "-c1", "www.bureau.test")
        lab.cut("county", "backbone")

It takes itself down at the end of the ``with``, when the program is killed, and at the latest when the next one starts.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import extranet, network
from tests.lab.host import RunningHost
from tests.lab.services import bind9
from tests.lab.services.nginx import Nginx
from tests.lab.topology import Topology
from tests.parts import guard


class Lab:
    """Hosts by name: ``lab["portal"]``."""

    def __init__(self, prefix: str, directory: Path, topology: Topology, shared: extranet.Secrets, v4: bool) -> None:
        self.prefix = prefix
        self.directory = directory
        self.topology = topology
        self.secrets = shared
        self.v4 = v4
        self._serial = 1
        self._relays: list[subprocess.Popen[bytes]] = []
        self.hosts = {h.name: RunningHost(prefix, h, directory / "hosts" / h.name) for h in topology.hosts}

    def __getitem__(self, name: str) -> RunningHost:
        return self.hosts[name]

    @classmethod
    @contextmanager
    def up(cls, v4: bool = True) -> Iterator[Lab]:
        """Bring it up; needs root. Labs that a dead program left are taken down first."""
        network.reap()
        prefix = f"tw{secrets.token_hex(2)}"
        shared = extranet.Secrets(*(f"{kind}-{secrets.token_hex(8)}" for kind in ("c", "u", "a", "p")))
        topology = extranet.topology(shared, v4)
        directory = Path(tempfile.mkdtemp(prefix="tw-lab-"))
        directory.chmod(0o755)
        take_down = [sys.executable, str(Path(network.__file__)), prefix]
        guard.at_end(take_down)
        lab = cls(prefix, directory, topology, shared, v4)
        try:
            network.up(prefix, topology, directory)
            for host, service in extranet.services(topology):
                service.start(lab[host.name])
            yield lab
        finally:
            lab._stop()
            network.down(prefix)
            guard.not_at_end(take_down)

    def _stop(self) -> None:
        for relay in self._relays:
            guard.kill(relay)
        for host in self.hosts.values():
            for name in list(host.running):
                host.kill(name)

    def cut(self, host: str, segment: str) -> None:
        """Pull the cable between a host and a segment."""
        network.set_link(self.prefix, segment, host, False)

    def restore(self, host: str, segment: str) -> None:
        network.set_link(self.prefix, segment, host, True)

    def start_rogue_ra(self, seconds: int = 60) -> None:
        """The intruder says that it is a router, about every second, for at most ``seconds``."""
        interval = -(-seconds // 255)  # the tool sends 255 at most
        words = ["atk6-fake_router26", "-A", extranet.ROGUE_PREFIX, "-i", str(interval)]
        intruder = self["intruder"]
        intruder.start("rogue-ra", *words, "-n", str(seconds // interval), "bureau")
        time.sleep(0.3)
        if not intruder.alive("rogue-ra"):  # it checks its arguments, then says nothing until it ends
            raise RuntimeError(intruder.log("rogue-ra"))

    def stop_rogue_ra(self) -> None:
        self["intruder"].kill("rogue-ra")

    def set_aaaa(self, there: bool) -> None:
        """Take the portal's AAAA record out of the zone, or give it back; on both name servers."""
        self._serial += 1
        for name in ("portal", "city"):
            bind9.write_zone(self[name], extranet.ZONE, extranet.records(self.v4, aaaa=there), self._serial)
            bind9.reload(self[name])

    def set_portal(self, v6: bool = True, v4: bool = True) -> None:
        """Let the portal's web server listen on these families only."""
        self["portal"].kill("nginx")
        Nginx(extranet.DOMAIN, v4=v4 and self.v4, v6=v6).start(self["portal"])

    def relay(self, host: str, to: tuple[str, int], listen: str = "127.0.0.1", port: int = 0) -> int:
        """Make an address inside a host reachable from outside; returns the port on ``listen``."""
        return self._relay("-", listen, port, self[host].namespace, *to)

    def relay_in(self, host: str, to: tuple[str, int], listen: str = "::1", port: int = 0) -> int:
        """Make an address outside reachable from inside a host; returns the port on ``listen`` there."""
        return self._relay(self[host].namespace, listen, port, "-", *to)

    def _relay(self, listen_ns: str, listen: str, port: int, connect_ns: str, host: str, to_port: int) -> int:
        words = [listen_ns, listen, str(port), connect_ns, host, str(to_port)]
        program = Path(__file__).with_name("relay.py")
        process = guard.start([sys.executable, program, *words], self.directory / "relay.log", stdout=subprocess.PIPE)
        self._relays.append(process)
        assert process.stdout is not None
        with process.stdout as said:
            line = said.readline()
        if not line:
            raise RuntimeError((self.directory / "relay.log").read_text())
        return int(line)
