"""The inventory made ready for questions: by id, by address, by domain, up and down the unit tree. Immutable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from collector.inventory import Credential, Device, Inventory, Level, Person, Prefix, System, Unit, Zone
from collector.inventory_values import canonical_domain, parse_prefix
from collector.prefix_table import Network, PrefixTable, bounds
from telemetry.event import canonical_ip
from telemetry.work import SnmpCredential

T = TypeVar("T", Unit, Person, Zone, Device, System, Credential)


class Indexed:
    """An inventory that was checked (collector/inventory_check.py): every reference holds, the units are a tree."""

    def __init__(self, inventory: Inventory, credentials: Mapping[str, SnmpCredential] | None = None) -> None:
        """``credentials`` have their secrets filled in; without them those of the inventory are taken as they are."""
        self.inventory = inventory
        self._credentials = credentials if credentials is not None else _by_id(inventory.credentials)
        self._units = _by_id(inventory.units)
        self._people = _by_id(inventory.people)
        self._zones = _by_id(inventory.zones)
        self._devices = _by_id(inventory.devices)
        self._systems = _by_id(inventory.systems)
        self._children: dict[str | None, list[str]] = {}
        for unit in inventory.units:
            self._children.setdefault(unit.parent, []).append(unit.id)
        self._paths = {name: tuple(reversed([name, *self._above(name)])) for name in self._units}
        self._device_at = {canonical_ip(a): d for d in inventory.devices for a in (d.address, *d.addresses)}
        self._system_of = {canonical_domain(name): s for s in inventory.systems for name in s.domains}
        networks = {n: p for p in inventory.prefixes if (n := parse_prefix(p.prefix)[0]) is not None}
        prefixes = _inherit(networks)
        self._prefixes = PrefixTable(prefixes)
        self._networks_of: dict[str, list[str]] = {}
        widest: dict[tuple[str, int], tuple[int, set[str]]] = {}
        for network, prefix in prefixes:
            if prefix.unit is not None:
                self._networks_of.setdefault(prefix.unit, []).append(str(network))
                if prefix.zone is not None and not _own(network):
                    length, zones = widest.setdefault((prefix.unit, network.version), (network.prefixlen, set()))
                    if network.prefixlen < length:
                        widest[prefix.unit, network.version] = (network.prefixlen, {prefix.zone})
                    elif network.prefixlen == length:
                        zones.add(prefix.zone)
        self._zones_of: dict[str, set[str]] = {}
        for (unit_id, _), (_, zones) in widest.items():
            self._zones_of.setdefault(unit_id, set()).update(zones)

    def unit(self, id: str) -> Unit | None:
        return self._units.get(id)

    def person(self, id: str) -> Person | None:
        return self._people.get(id)

    def zone(self, id: str) -> Zone | None:
        return self._zones.get(id)

    def device(self, id: str) -> Device | None:
        return self._devices.get(id)

    def system(self, id: str) -> System | None:
        return self._systems.get(id)

    def credential(self, id: str) -> SnmpCredential | None:
        """With its secrets: for an agent's work, never for a log or a page."""
        return self._credentials.get(id)

    def path(self, unit_id: str) -> tuple[str, ...]:
        """Ids from the root unit down to this one; empty for a unit that is not there."""
        return self._paths.get(unit_id, ())

    def children(self, unit_id: str | None) -> tuple[str, ...]:
        """Ids of the units right below; of the root units for None."""
        return tuple(self._children.get(unit_id, ()))

    def below(self, unit_id: str) -> Iterator[str]:
        """Ids of the unit itself and of all units below it, depth first."""
        if unit_id in self._units:
            yield unit_id
            for child in self._children.get(unit_id, ()):
                yield from self.below(child)

    def device_at(self, ip: str) -> Device | None:
        """The device that has this address; the last one where several share a link-local address."""
        return self._device_at.get(_canonical(ip))

    def system_of_domain(self, domain: str) -> System | None:
        found = self._system_of.get(domain)
        return found if found is not None else self._system_of.get(canonical_domain(domain) or "?")

    def lookup(self, ip: str) -> Prefix | None:
        """The longest registered prefix that holds the address, with what it inherits from those around it."""
        return self._prefixes.lookup(ip)

    def networks_of(self, unit_id: str) -> tuple[str, ...]:
        """The prefixes of a unit itself."""
        return tuple(self._networks_of.get(unit_id, ()))

    def zone_of_unit(self, unit_id: str) -> str | None:
        """The zone written at the unit, else that of its widest prefixes where they agree, else None."""
        unit = self._units.get(unit_id)
        if unit is None or unit.zone is not None:
            return unit.zone if unit else None
        zones = self._zones_of.get(unit_id, set())
        return next(iter(zones)) if len(zones) == 1 else None

    def zone_of(self, asset: Device | System) -> str | None:
        """The zone written at the asset, else of its first registered address, else of its unit."""
        if asset.zone is not None:
            return asset.zone
        first = (asset.address,) if isinstance(asset, Device) else ()
        for address in (*first, *asset.addresses):
            if (prefix := self.lookup(address)) is not None and prefix.zone is not None:
                return prefix.zone
        return self.zone_of_unit(asset.unit)

    def levels(self) -> Mapping[Level, int]:
        """How many units each level has."""
        return {level: sum(unit.level is level for unit in self.inventory.units) for level in Level}

    def _above(self, id: str) -> Iterator[str]:
        parent = self._units[id].parent
        while parent is not None and parent in self._units:
            yield parent
            parent = self._units[parent].parent


def _by_id(items: tuple[T, ...]) -> dict[str, T]:
    return {item.id: item for item in items}


def _canonical(ip: str) -> str:
    try:
        return canonical_ip(ip)
    except ValueError:
        return ""


def _own(network: Network) -> bool:
    """Loopback and link-local: every host has these, so they say nothing of where it stands."""
    first = network.network_address
    return first.is_link_local or first.is_loopback


def _inherit(networks: Mapping[Network, Prefix]) -> list[tuple[Network, Prefix]]:
    """Each prefix with the unit and zone that it leaves out taken from the nearest one around it."""
    made: list[tuple[Network, Prefix]] = []
    around: list[tuple[int, Prefix]] = []
    spans = sorted(((n.version, *bounds(n), n) for n in networks), key=lambda s: (s[0], s[1], -s[2]))
    for version, first, end, network in spans:
        while around and around[-1][0] <= first | version << 130:
            around.pop()
        prefix = networks[network]
        if around and (prefix.unit is None or prefix.zone is None):
            outer = around[-1][1]
            prefix = msgspec.structs.replace(prefix, unit=prefix.unit or outer.unit, zone=prefix.zone or outer.zone)
        around.append((end | version << 130, prefix))
        made.append((network, prefix))
    return made


EMPTY = Indexed(Inventory())
