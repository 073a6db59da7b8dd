"""``tengwang.toml``: everything a collector can be told. No file is needed; every option has a default.

Nothing listens beyond loopback unless it says so here, and then only with TLS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from telemetry import component
from telemetry.config import Document, convert, read
from telemetry.errors import ConfigError, Problem

NAME = "tengwang.toml"
STORES, ENRICHERS = "collector.stores", "collector.enrichers"
NOTIFIERS = "collector.notifiers"


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: an unknown key is a mistake."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen. Host ``localhost`` is every loopback address that this machine has."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False


def address(text: str) -> Address:
    """``host:port`` or ``[v6]:port``. Raises ValueError with what to write instead."""
    host, colon, port = text.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f'{text!r}: an IPv6 address stands in brackets, e.g. "[::1]:8740"')
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f'{text!r}: write host:port, e.g. "localhost:8740" or "[::]:8743"')
    return Address(host, int(port))


Addresses = Annotated[tuple[str, ...], Meta(min_length=1, max_length=16)]


def _check_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(address(text) for text in texts)


class Console(Section, frozen=True):
    """The console, the HTTP API and /metrics."""

    listen: Annotated[
        Addresses, Meta(description="host:port, one or several; beyond loopback only with tls = true")
    ] = ("localhost:8740",)
    tls: Annotated[bool, Meta(description="serve HTTPS; with a certificate of the own CA where none is configured")] = (
        False
    )
    certificate: Annotated[str, Meta(description="PEM file with the certificate chain, or empty")] = ""
    key: Annotated[str, Meta(description="PEM file with its private key, or empty")] = ""
    names: Annotated[
        tuple[str, ...], Meta(description="more host names and addresses for the own certificate", max_length=64)
    ] = ()

    def __post_init__(self) -> None:
        for found in _check_addresses(self.listen):
            if not found.loopback and not self.tls:
                raise ValueError(
                    f"listen {found} is reachable from other hosts, so it needs TLS: write tls = true, "
                    "or listen on localhost"
                )
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key go together: give both or none")
        if self.certificate and not self.tls:
            raise ValueError("a certificate is of no use without tls = true")


class Agents(Section, frozen=True):
    """The listener for agents: always mutual TLS."""

    listen: Annotated[Addresses, Meta(description="host:port, one or several; always with TLS")] = ("localhost:8743",)
    names: Annotated[
        tuple[str, ...],
        Meta(
            description="host names and addresses by which agents reach this collector, for its certificate; "
            "this host's own name and addresses are always in it",
            max_length=64,
        ),
    ] = ()
    collectors: Annotated[
        tuple[str, ...],
        Meta(
            description="base URLs given to agents at enrolment, to fail over between; "
            "empty: the one by which the agent enrolled",
            max_length=16,
        ),
    ] = ()
    certificate_days: Annotated[
        float, Meta(description="life of an agent's certificate in days; renewed at half of it", gt=0, le=398)
    ] = 30.0
    ca: Annotated[
        str, Meta(description="directory of the certificate authority; collectors of one site share a copy of it")
    ] = "ca"

    def __post_init__(self) -> None:
        _check_addresses(self.listen)
        for url in self.collectors:
            if not url.startswith("https://"):
                raise ValueError(f"collectors: {url!r} must start with https://")


class Limits(Section, frozen=True):
    """Bounds of the way in."""

    queue_bytes: Annotated[
        int,
        Meta(
            description="compressed batches that may wait for the store; beyond it agents get 429", ge=2**20, le=2**34
        ),
    ] = 64 * 2**20
    group_records: Annotated[
        int, Meta(description="records that are stored together at most, over several batches", ge=1, le=100_000)
    ] = 5_000
    connections: Annotated[int, Meta(description="connections of agents at once, at most", ge=1, le=100_000)] = 4_096
    future_s: Annotated[
        int, Meta(description="an event so far ahead of this clock is flagged, in seconds", ge=1, le=86_400)
    ] = 600
    past_s: Annotated[
        int, Meta(description="an event so far behind this clock is flagged, in seconds", ge=3_600, le=10**9)
    ] = 30 * 86_400


class Inventory(Section, frozen=True):
    """Who and what is registered."""

    path: Annotated[str, Meta(description="folder of the inventory's *.yml files")] = "../inventory"
    poll_s: Annotated[float, Meta(description="how often the files are looked at, in seconds", ge=0.5, le=3600)] = 5.0


class Rules(Section, frozen=True):
    """What raises an alert."""

    paths: Annotated[
        tuple[str, ...],
        Meta(description="files and folders of Sigma rules, in addition to the ones that come with the program"),
    ] = ()
    packaged: Annotated[bool, Meta(description="use the rules that come with the program")] = True
    poll_s: Annotated[float, Meta(description="how often the files are looked at, in seconds", ge=0.5, le=3600)] = 5.0


class Response(Section, frozen=True):
    """Containment: what playbooks propose. What agents may do is decided by each agent's own ``[actions]``."""

    packaged: Annotated[bool, Meta(description="use the playbooks that come with the program")] = True
    paths: Annotated[tuple[str, ...], Meta(description="more files and folders of playbooks")] = ()
    automatic: Annotated[
        bool, Meta(description="let playbooks act without approval where they say so; otherwise a person approves all")
    ] = False
    protected: Annotated[
        tuple[str, ...],
        Meta(
            description="addresses, prefixes, MACs and ids of systems that are never acted on; registered devices, "
            "agents, collectors and systems of level 3 and above never are",
            max_length=10_000,
        ),
    ] = ()


class Operations(Section, frozen=True):
    """From alerts to incidents that are over; done by the one collector that leads."""

    reopen_hours: Annotated[
        float, Meta(description="what is seen again so long after it was closed is the same incident", ge=0, le=8_784)
    ] = 24.0
    keep_days: Annotated[
        float,
        Meta(description="a closed incident can be changed so long; its records are kept as alerts are", ge=1, le=400),
    ] = 7.0
    operator: Annotated[
        Literal["organ", "other"],
        Meta(
            description="which reporting clocks hold where no critical information infrastructure is concerned: "
            "organ (central or state organ) or other (any other network operator)"
        ),
    ] = "other"
    reporting: Annotated[
        tuple[str, ...],
        Meta(description="files and folders of reporting clocks, in addition to those that come with the program"),
    ] = ()
    hold_s: Annotated[
        float, Meta(description="so long it must still measure as over before it is closed", ge=0, le=86_400)
    ] = 60.0
    raise_from_level: Annotated[
        int, Meta(description="incidents at assets from this 等保 level on are one level graver; 6: never", ge=1, le=6)
    ] = 3
    raise_cii: Annotated[
        bool, Meta(description="incidents at critical information infrastructure are one level graver")
    ] = True
    raise_zones: Annotated[
        tuple[str, ...], Meta(description="ids of zones in which incidents are one level graver", max_length=64)
    ] = ()


class Paging(Section, frozen=True):
    """Who is told, and by which links. The channels are ``[[notifiers]]``, the people in the inventory."""

    level: Annotated[
        Literal["informational", "low", "medium", "high", "critical"],
        Meta(description="incidents from this level on page people"),
    ] = "medium"
    base_url: Annotated[
        str,
        Meta(
            description="how a telephone reaches the console, for the links in pages, e.g. https://soc.example.gov.cn; "
            "empty: the address that the console listens on",
            pattern=r"^(https?://[^\s/?#]{1,200}(/[^\s?#]{0,100})?)?\Z",
        ),
    ] = ""
    link_hours: Annotated[float, Meta(description="how long a link in a page is good, in hours", gt=0, le=720)] = 24.0
    give_up_s: Annotated[
        int, Meta(description="a page that nothing took for so long is a dead letter, in seconds", ge=60, le=86_400)
    ] = 3_600
    alarm_s: Annotated[
        int, Meta(description="pages that wait longer than this are said to be stuck, in seconds", ge=10, le=86_400)
    ] = 120


class CollectorConfig(Section, frozen=True):
    """The whole file. Paths are relative to the collector's home, ``<home>/collector``."""

    console: Console = Console()
    agents: Agents = Agents()
    limits: Limits = Limits()
    inventory: Inventory = Inventory()
    rules: Rules = Rules()
    operations: Operations = Operations()
    response: Response = Response()
    paging: Paging = Paging()
    store: Annotated[dict[str, Any], Meta(description="type (sqlite or elastic) and the options of that store")] = (
        msgspec.field(default_factory=lambda: {"type": "sqlite"})
    )
    enrichers: Annotated[
        tuple[dict[str, Any], ...], Meta(description="what is added to every event, in this order: type and options")
    ] = ({"type": "inventory"},)
    notifiers: Annotated[
        tuple[dict[str, Any], ...],
        Meta(description="ways to reach people, the preferred one first: type and options", max_length=32),
    ] = ()


def load(path: Path | None) -> CollectorConfig:
    """Read the file, or take the defaults where there is none. Raises ConfigError with every problem at once."""
    document = read(path) if path is not None else Document(NAME, {}, {})
    config, problems = convert(document, document.data, CollectorConfig)
    data = document.data if isinstance(document.data, dict) else {}
    for table, package, key in _components(data):
        try:
            component_config(document, package, table, key)
        except ConfigError as error:
            problems.extend(error.problems)
    problems.extend(_names_twice(document, data))
    if problems or config is None:
        raise ConfigError(problems)
    return config


def _names_twice(document: Document, data: dict[str, Any]) -> list[Problem]:
    """People name a notifier by its name, or by its type where it has none."""
    problems: list[Problem] = []
    seen: set[str] = set()
    tables = data.get("notifiers", ())
    for index, table in enumerate(tables if isinstance(tables, list) else ()):
        name = str(table.get("name") or table.get("type")) if isinstance(table, dict) else ""
        if name and name in seen:
            line = document.line(("notifiers", index))
            problems.append(Problem(document.path, line, "notifiers", f"{name!r} is there twice", "give it a name"))
        seen.add(name)
    return problems


def component_config(document: Document, package: str, table: object, key: tuple[str | int, ...]) -> msgspec.Struct:
    """The checked ``Config`` of one component table. Raises ConfigError, MissingExtra."""
    line = document.line(key)
    if not isinstance(table, dict) or not isinstance(table.get("type"), str):
        known = ", ".join(component.names(package))
        raise ConfigError([Problem(document.path, line, str(key[0]), "type is missing", f"one of: {known}")])
    module = component.load(package, table["type"], document.path, document.line((*key, "type")))
    options = {name: value for name, value in table.items() if name != "type"}
    value, problems = convert(document, options, module.Config, key)
    if problems or value is None:
        raise ConfigError(problems)
    made: msgspec.Struct = value
    return made


def _components(data: dict[str, Any]) -> list[tuple[object, str, tuple[str | int, ...]]]:
    found: list[tuple[object, str, tuple[str | int, ...]]] = []
    if "store" in data:
        found.append((data["store"], STORES, ("store",)))
    enrichers = data.get("enrichers", ())
    if isinstance(enrichers, list):
        found.extend((table, ENRICHERS, ("enrichers", index)) for index, table in enumerate(enrichers))
    notifiers = data.get("notifiers", ())
    if isinstance(notifiers, list):
        found.extend((table, NOTIFIERS, ("notifiers", index)) for index, table in enumerate(notifiers))
    return found
