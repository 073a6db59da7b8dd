"""``/devices``: network devices and hosts with interfaces and addresses."""

from __future__ import annotations

from typing import Annotated

import msgspec

from collector.api._operation import Nothing, Operation
from collector.site import Site, Who
from collector.views.devices import DeviceView, devices
from telemetry.errors import Permanent


class DeviceList(msgspec.Struct, frozen=True):
    devices: tuple[DeviceView, ...]


class OneDevice(msgspec.Struct, frozen=True):
    device: Annotated[str, msgspec.Meta(description="The device's id, or the agent's id of a host", max_length=128)]


async def every(site: Site, _who: Who, _: Nothing) -> DeviceList:
    return DeviceList(await site.answers.ask(lambda: devices(site.services)))


async def one(site: Site, _who: Who, asked: OneDevice) -> DeviceView:
    found = next((d for d in (await every(site, _who, Nothing())).devices if d.id == asked.device), None)
    if found is None:
        raise Permanent("not_found", f"there is no device {asked.device!r}")
    return found


OPERATIONS = (
    Operation("/devices", "list_devices", "devices", "All devices and hosts", Nothing, DeviceList, every),
    Operation("/devices/{device}", "get_device", "devices", "One device or host", OneDevice, DeviceView, one),
)
