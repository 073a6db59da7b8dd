"""Where a collector of the lab keeps its events: the embedded store, or an Elasticsearch outside the lab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from collector.config import component_config
from collector.store import Store, StoreContext
from telemetry import component
from telemetry.clock import SystemClock
from telemetry.config import read
from telemetry.report import Report
from tests.lab.lab import Lab
from tests.parts.elasticsearch import Cluster

SQLITE = '[store]\ntype = "sqlite"\nreserve_mb = 8\n'


@dataclass(frozen=True)
class StoreChoice:
    """``settings``: what the collector inside the lab is told. ``outside``: the same store, seen from the test."""

    settings: str
    outside: str

    @contextmanager
    def open(self, home: Path) -> Iterator[Store]:
        """The store itself, for a test that counts what is in it. ``home`` is the collector's own directory."""
        file = home / "outside.toml"
        file.write_text(self.outside)
        document = read(file)
        table = document.data["store"]
        module = component.load("collector.stores", table["type"])
        context = StoreContext(home, SystemClock(), Report())
        store: Store = module.build(component_config(document, "collector.stores", table, ("store",)), context)
        try:
            yield store
        finally:
            store.close()


def choose(lab: Lab, cluster: Cluster | None, prefix: str = "") -> StoreChoice:
    """SQLite where there is no cluster. A node outside is reached through a relay on the management host."""
    if cluster is None:
        return StoreChoice(SQLITE, SQLITE)
    inside = []
    for outer in map(urlsplit, cluster.urls):
        port = lab.relay_in("mgmt", (outer.hostname or "", outer.port or 0))
        inside.append(f"{outer.scheme}://[::1]:{port}")
    prefix = prefix or lab.prefix
    near, far = (_elastic(urls, cluster, prefix, lab.directory) for urls in (inside, cluster.urls))
    return StoreChoice(near, far)


def _elastic(urls: list[str], cluster: Cluster, prefix: str, directory: Path) -> str:
    lines = ["[store]", 'type = "elastic"', f"urls = {urls!r}", f'prefix = "{prefix}"']
    if cluster.user:
        secret = directory / "elastic.secret"
        secret.touch(mode=0o600)
        secret.write_text(cluster.password)
        lines += [f'user = "{cluster.user}"', f'password_file = "{secret}"', f'ca_file = "{cluster.ca}"']
    return "\n".join(lines) + "\n"
