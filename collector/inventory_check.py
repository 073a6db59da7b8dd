"""What the entries of an inventory must be to each other, and to the world: every problem at once, with path:line."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from collector import inventory_duty
from collector.inventory import Inventory, Level, Unit
from collector.inventory_files import Documents
from collector.inventory_values import (
    MAIL,
    PHONE,
    PHONE_HINT,
    canonical_domain,
    canonical_mac,
    domain_hint,
    is_link_local,
    parse_prefix,
)
from collector.prefix_table import Network
from telemetry import config
from telemetry.config import KeyPath
from telemetry.errors import Problem
from telemetry.event import canonical_ip

Found = Iterator[Problem]
ORDER = {level: number for number, level in enumerate(Level)}
UNIT, ZONE, PERSON, CREDENTIAL = "units", "zones", "people", "credentials"
REFERENCES: tuple[tuple[str, str, str], ...] = (
    ("units", "parent", UNIT),
    ("units", "zone", ZONE),
    ("people", "unit", UNIT),
    ("prefixes", "unit", UNIT),
    ("prefixes", "zone", ZONE),
    ("devices", "unit", UNIT),
    ("devices", "zone", ZONE),
    ("devices", "credential", CREDENTIAL),
    ("devices", "segments", UNIT),
    ("devices", "measured_from", UNIT),
    ("systems", "unit", UNIT),
    ("systems", "zone", ZONE),
    ("systems", "measured_from", UNIT),
    ("terminals", "unit", UNIT),
)
AUTH = ("MD5", "SHA", "SHA224", "SHA256", "SHA384", "SHA512")
PRIV = ("DES", "3DES", "AES", "AES192", "AES256", "AES192C", "AES256C")
"""RFC 3414, 3826, 7860; with C the key extension that Cisco and many others use."""


def check(inventory: Inventory, documents: Documents) -> list[Problem]:
    """Every problem between entries; none of what one entry alone is already refused for."""
    problems: list[Problem] = []
    for part in (_ids, _references, _tree, _prefixes, _addresses, _macs, _domains, _people, _credentials, _routers):
        problems.extend(part(inventory, documents))
    problems.extend(inventory_duty.check(inventory, documents))
    return problems


def _ids(inventory: Inventory, documents: Documents) -> Found:
    for sections in (("units",), ("people",), ("zones",), ("credentials",), ("devices", "systems", "terminals")):
        first: dict[str, str] = {}
        for section in sections:
            for index, item in enumerate(getattr(inventory, section)):
                if item.id in first:
                    yield documents.problem(
                        section, index, ("id",), f"{item.id!r} is there twice", f"first at {first[item.id]}"
                    )
                else:
                    first[item.id] = documents.where(section, index)


def _references(inventory: Inventory, documents: Documents) -> Found:
    known = {name: {x.id for x in getattr(inventory, name)} for name in (UNIT, ZONE, PERSON, CREDENTIAL)}

    def missing(section: str, index: int, field: KeyPath, target: str, id: str | None) -> Found:
        if id is None or id in known[target] or id in documents.broken[target]:
            return
        hint = config.nearest(id, known[target]) or f"add it under {target}:, or take it out here"
        yield documents.problem(section, index, field, f"there is no {target} entry {id!r}", hint)

    for section, field, target in REFERENCES:
        for index, item in enumerate(getattr(inventory, section)):
            value = getattr(item, field)
            if isinstance(value, tuple):
                for at, one in enumerate(value):
                    yield from missing(section, index, (field, at), target, one)
            else:
                yield from missing(section, index, (field,), target, value)
    for section in ("devices", "systems"):
        for index, item in enumerate(getattr(inventory, section)):
            if item.responsible is not None:
                for role in ("authority", "operator", "user"):
                    yield from missing(section, index, ("responsible", role), PERSON, getattr(item.responsible, role))


def _tree(inventory: Inventory, documents: Documents) -> Found:
    units = {unit.id: unit for unit in reversed(inventory.units)}
    root = ""
    for index, unit in enumerate(inventory.units):
        if units[unit.id] is not unit:
            continue  # there twice: told already, and the first holds
        if unit.parent is None:
            if root:
                yield documents.problem(
                    "units", index, (), f"a second unit without parent: {unit.id!r}", f"first at {root}"
                )
            root = root or documents.where("units", index)
            continue
        if (circle := _circle(unit, units)) and unit.id == min(circle):
            yield documents.problem("units", index, ("parent",), "units stand in a circle: " + " -> ".join(circle))
        parent = units.get(unit.parent)
        if parent is not None and ORDER[unit.level] < ORDER[parent.level]:
            yield documents.problem(
                "units",
                index,
                ("level",),
                f"a {unit.level} unit can not stand below the {parent.level} unit {parent.id!r}",
                f"{parent.level} or lower: " + ", ".join(list(Level)[ORDER[parent.level] :]),
            )


def _circle(unit: Unit, units: dict[str, Unit]) -> list[str]:
    way = [unit.id]
    while (parent := units[way[-1]].parent) is not None and parent in units and len(way) <= len(units):
        way.append(parent)
        if parent == unit.id:
            return way
        if way.count(parent) > 1:
            break
    return []


def _prefixes(inventory: Inventory, documents: Documents) -> Found:
    first: dict[Network, str] = {}
    for index, item in enumerate(inventory.prefixes):
        network, message, hint = parse_prefix(item.prefix)
        if network is None:
            yield documents.problem("prefixes", index, ("prefix",), message, hint)
            continue
        if item.unit is None and item.zone is None:
            yield documents.problem("prefixes", index, (), "says neither unit nor zone", "give it at least one")
        if network in first:
            yield documents.problem(
                "prefixes", index, ("prefix",), f"{network} is there twice", f"first at {first[network]}"
            )
        first.setdefault(network, documents.where("prefixes", index))
    for index, device in enumerate(inventory.devices):
        for at, text in enumerate(device.advertises):
            network, message, hint = parse_prefix(text)
            if network is None:
                yield documents.problem("devices", index, ("advertises", at), message, hint)


def _addresses(inventory: Inventory, documents: Documents) -> Found:
    first: dict[str, str] = {}

    def one(section: str, index: int, field: KeyPath, text: str, own: bool) -> Found:
        try:
            address = canonical_ip(text) if "%" not in text else ""
        except ValueError:
            address = ""
        if not address:
            yield documents.problem(
                section, index, field, f"{text!r} is not an IP address", "without prefix length and zone"
            )
        elif own and not ipaddress.ip_address(address).is_link_local:
            here = documents.where(section, index)
            if first.setdefault(address, here) != here:
                yield documents.problem(
                    section, index, field, f"{address} belongs to another device already", f"at {first[address]}"
                )

    for index, device in enumerate(inventory.devices):
        yield from one("devices", index, ("address",), device.address, own=True)
        for at, text in enumerate(device.addresses):
            yield from one("devices", index, ("addresses", at), text, own=True)
    for index, system in enumerate(inventory.systems):
        for at, text in enumerate(system.addresses):
            yield from one("systems", index, ("addresses", at), text, own=False)
    for index, terminal in enumerate(inventory.terminals):
        for at, text in enumerate(terminal.addresses):
            yield from one("terminals", index, ("addresses", at), text, own=False)
        if not terminal.macs and not terminal.addresses:
            yield documents.problem("terminals", index, (), "has neither macs nor addresses", "give it at least one")
    for index, text in enumerate(inventory.resolvers):
        yield from one("resolvers", index, (), text, own=False)


def _macs(inventory: Inventory, documents: Documents) -> Found:
    first: dict[str, str] = {}
    for section in ("devices", "systems", "terminals"):
        for index, item in enumerate(getattr(inventory, section)):
            for at, text in enumerate(item.macs):
                mac = canonical_mac(text)
                if not mac:
                    yield documents.problem(
                        section, index, ("macs", at), f"{text!r} is not a MAC address", "e.g. 00:1b:2c:3d:4e:5f"
                    )
                elif first.setdefault(mac, item.id) != item.id:
                    yield documents.problem(section, index, ("macs", at), f"{mac} belongs to {first[mac]!r} already")


def _domains(inventory: Inventory, documents: Documents) -> Found:
    first: dict[str, str] = {}
    for index, system in enumerate(inventory.systems):
        if not system.domains:
            yield documents.problem("systems", index, ("domains",), "names no domain", "e.g. [www.example.gov.cn]")
        if not system.ports:
            yield documents.problem("systems", index, ("ports",), "names no port", "e.g. [80, 443]")
        for at, text in enumerate(system.domains):
            domain = canonical_domain(text)
            if not domain:
                yield documents.problem(
                    "systems", index, ("domains", at), f"{text!r} is not a domain name", domain_hint(text)
                )
            elif domain in first:
                yield documents.problem(
                    "systems", index, ("domains", at), f"{domain} belongs to system {first[domain]!r} already"
                )
            first.setdefault(domain, system.id)


def _people(inventory: Inventory, documents: Documents) -> Found:
    for index, person in enumerate(inventory.people):
        if person.phone and not PHONE.fullmatch(person.phone):
            yield documents.problem("people", index, ("phone",), f"{person.phone!r} is not a phone number", PHONE_HINT)
        if person.email and not MAIL.fullmatch(person.email):
            yield documents.problem("people", index, ("email",), f"{person.email!r} is not a mail address")


def _credentials(inventory: Inventory, documents: Documents) -> Found:
    for index, item in enumerate(inventory.credentials):

        def wrong(field: str, message: str, hint: str = "", index: int = index) -> Problem:
            return documents.problem("credentials", index, (field,), message, hint)

        if item.version.value != "3":
            if not item.community:
                yield wrong("community", f"version {item.version.value} needs a community")
            used = [name for name in V3 if getattr(item, name)]
            for name in used:
                yield wrong(name, f"is not used by version {item.version.value}", "version: '3'?")
            continue
        if item.community:
            yield wrong("community", "is not used by version 3")
        if not item.user:
            yield wrong("user", "version 3 needs a user")
        for kind, names in (("auth", AUTH), ("priv", PRIV)):
            protocol, key = getattr(item, f"{kind}_protocol"), getattr(item, f"{kind}_key")
            if protocol and protocol not in names:
                yield wrong(f"{kind}_protocol", f"{protocol!r} is not known", "one of " + ", ".join(names))
            if bool(protocol) != bool(key):
                yield wrong(f"{kind}_key" if protocol else f"{kind}_protocol", "goes with the other, one is missing")
            if key and not key.startswith("file:") and len(key) < 8:
                yield wrong(f"{kind}_key", "is shorter than 8 characters", "RFC 3414 wants at least 8")
        if item.priv_key and not item.auth_key:
            yield wrong(
                "priv_key", "privacy without authentication does not exist in SNMPv3", "add auth_protocol and auth_key"
            )


V3 = ("user", "auth_protocol", "auth_key", "priv_protocol", "priv_key", "context")


def _routers(inventory: Inventory, documents: Documents) -> Found:
    """Router advertisements come from a link-local address (RFC 4861, 4.2); one without can never be recognised."""
    for index, device in enumerate(inventory.devices):
        if device.router and not device.macs and not any(map(is_link_local, (device.address, *device.addresses))):
            yield documents.problem(
                "devices",
                index,
                ("router",),
                "a router is recognised by its link-local address or its MAC, and neither is given",
                "add the fe80:: address to addresses:, or its MAC to macs:",
            )
