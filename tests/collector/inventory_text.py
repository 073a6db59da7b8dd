"""A small right inventory, and how to write one, for the tests about it."""

from __future__ import annotations

from pathlib import Path

from collector.inventory_index import Indexed
from collector.inventory_source import InventorySource
from telemetry.clock import ManualClock
from telemetry.report import Report

RIGHT = """\
units:
  - {id: city, name: 南昌市, level: city}
  - {id: county, name: 东湖区, level: county, parent: city, zone: office}
  - {id: street, name: 公园街道, level: township, parent: county}
  - {id: village, name: 公园社区, level: village, parent: street}
zones:
  - {id: office, name: 办公区}
  - {id: portal, name: 门户区}
people:
  - {id: wang, name: 王主管, unit: city, phone: "0791-83880001"}
prefixes:
  - {prefix: "2001:db8::/32", unit: city, zone: office}
  - {prefix: "2001:db8:1::/48", unit: county}
  - {prefix: "2001:db8:1:80::/64", zone: portal}
  - {prefix: "10.0.0.0/8", unit: city}
credentials:
  - {id: v2, version: "2c", community: hush-hush}
devices:
  - id: r1
    name: 路由器
    unit: county
    address: "2001:db8:1::1"
    addresses: ["fe80::1"]
    macs: ["00-00-5E-00-53-01"]
    router: true
    segments: [county, street]
    advertises: ["2001:db8:1:5::/64"]
    credential: v2
    level: 3
    cii: true
    responsible: {authority: wang, operator: wang, user: wang}
systems:
  - {id: portal, name: 门户, unit: county, domains: [WWW.nc.example, 门户.example],
     addresses: ["2001:db8:1:80::80"], level: 2}
resolvers: ["2001:0db8::53"]
"""


def write(folder: Path, text: str = RIGHT, name: str = "all.yml") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def source(folder: Path, text: str = RIGHT) -> InventorySource:
    return InventorySource(write(folder, text), Report(ManualClock()))


def indexed(folder: Path, text: str = RIGHT) -> Indexed:
    made = source(folder, text)
    assert made.problems() == []
    return made.current()
