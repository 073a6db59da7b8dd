"""An agent's work, derived from the inventory: what it polls, checks and expects at its place in the unit tree.

A device or system is measured by the agents of the unit in ``measured_from``; where that is not said, by its own
unit's, else by the nearest unit above that has an agent. ``version`` is a hash of the
whole, so the same inventory and agents give the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from collector.inventory import Device, System
from collector.inventory_index import Indexed
from collector.inventory_values import canonical_domain, canonical_mac
from telemetry import work
from telemetry.event import canonical_ip
from telemetry.fields import SCHEMA
from telemetry.work import DhcpServer, Exporter, Router, SnmpTarget, Terminal, Work


def derive(index: Indexed, agent_id: str, unit: str, units_with_agents: frozenset[str]) -> Work:
    """The work of one agent. It holds secrets: it goes to that agent and nowhere else.

    A unit that the inventory does not know gets no work but the resolvers. All agents of a unit do the same work
    but ``agent_id`` keeps their versions apart.
    """
    inventory = index.inventory
    agents = units_with_agents | {unit}
    made = Work(
        unit=unit,
        snmp=tuple(
            target
            for device in inventory.devices
            if measuring_unit(index, device, agents) == unit and (target := _target(index, device)) is not None
        ),
        systems=tuple(_system(s) for s in inventory.systems if measuring_unit(index, s, agents) == unit),
        routers=tuple(_router(d) for d in inventory.devices if d.router and unit in (d.segments or (d.unit,))),
        dhcp=tuple(_dhcp_server(d) for d in inventory.devices if d.dhcp and unit in (d.segments or (d.unit,))),
        terminals=tuple(_terminals(index, unit)),
        exporters=tuple(
            Exporter(d.id, _addresses(d)) for d in inventory.devices if measuring_unit(index, d, agents) == unit
        ),
        resolvers=tuple(map(canonical_ip, inventory.resolvers)),
        home_prefixes=tuple(sorted({n for below in index.below(unit) for n in index.networks_of(below)})),
        schema=SCHEMA,
    )
    return msgspec.structs.replace(made, version=_version(agent_id, made))


def measuring_unit(index: Indexed, asset: Device | System, units_with_agents: frozenset[str]) -> str | None:
    """Whose agents measure this asset; None where nobody does, so that it can be shown as blind."""
    if asset.measured_from is not None:
        return asset.measured_from if asset.measured_from in units_with_agents else None
    return next((unit for unit in reversed(index.path(asset.unit)) if unit in units_with_agents), None)


def _version(agent_id: str, made: Work) -> str:
    return hashlib.sha256(agent_id.encode() + b"\0" + work.encode(made)).hexdigest()[:16]


def _target(index: Indexed, device: Device) -> SnmpTarget | None:
    """None for a device without a credential: it is registered, not polled."""
    credential = index.credential(device.credential) if device.credential is not None else None
    if credential is None:
        return None
    return SnmpTarget(
        device=device.id,
        name=device.name,
        address=canonical_ip(device.address),
        credential=credential,
        port=device.port,
        interval=device.interval,
        router=device.router,
    )


def _system(system: System) -> work.System:
    return work.System(
        asset=system.id,
        name=system.name,
        domains=tuple(map(canonical_domain, system.domains)),
        ports=system.ports,
        private=system.private,
    )


def _router(device: Device) -> Router:
    macs = tuple(map(canonical_mac, device.macs))
    return Router(device=device.id, addresses=_addresses(device), macs=macs, prefixes=device.advertises)


def _dhcp_server(device: Device) -> DhcpServer:
    return DhcpServer(device.id, _addresses(device), tuple(map(canonical_mac, device.macs)))


def _addresses(device: Device) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(canonical_ip, (device.address, *device.addresses))))


def _terminals(index: Indexed, unit: str) -> Iterator[Terminal]:
    """What may stand on the unit's segment; nothing for a unit that registers no terminals: it lets in everything."""
    inventory = index.inventory
    own = [terminal for terminal in inventory.terminals if terminal.unit == unit]
    if not own:
        return
    for terminal in own:
        macs = tuple(map(canonical_mac, terminal.macs))
        yield Terminal(terminal.id, macs, tuple(map(canonical_ip, terminal.addresses)))
    for device in inventory.devices:
        if unit == device.unit or unit in device.segments:
            yield Terminal(device.id, tuple(map(canonical_mac, device.macs)), _addresses(device))
    for system in inventory.systems:
        if unit == system.unit and (system.addresses or system.macs):
            yield Terminal(
                system.id, tuple(map(canonical_mac, system.macs)), tuple(map(canonical_ip, system.addresses))
            )
