"""The lab as the inventory files that a collector reads: units at four levels, people, zones, prefixes, devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.extranet import DOMAIN, LAN_PREFIX, Secrets, address

if TYPE_CHECKING:
    from tests.lab.topology import Topology

UNITS = """\
units:
  - {id: city, name: 市大数据中心, name_en: City data centre, level: city}
  - {id: county, name: 县信息中心, name_en: County centre, level: county, parent: city}
  - {id: bureau, name: 县教育局, name_en: Education bureau, level: county, parent: county}
  - {id: town, name: 滨江街道, name_en: Riverside, level: township, parent: county}
  - {id: village, name: 临江社区, name_en: Linjiang, level: village, parent: town}
people:
  - {id: wang, name: 王主管, unit: city, phone: "0791-83880001"}
  - {id: li, name: 李运营, unit: county, phone: "0791-83880002"}
  - {id: zhang, name: 张使用, unit: bureau, phone: "0791-83880003"}
"""

NETWORK = f"""\
zones:
  - {{id: management, name: 管理区, name_en: Management}}
  - {{id: backbone, name: 骨干区, name_en: Backbone}}
  - {{id: office, name: 办公区, name_en: Office}}
  - {{id: portal, name: 门户区, name_en: Portal}}
prefixes:
  - {{prefix: "2d00:100:0:f::/64", unit: city, zone: management}}
  - {{prefix: "2d00:100:0:1::/64", unit: city, zone: backbone}}
  - {{prefix: "2d00:100:a0::/48", unit: county, zone: office}}
  - {{prefix: "{LAN_PREFIX}", unit: bureau, zone: office}}
  - {{prefix: "{address("portal")}/128", unit: bureau, zone: portal}}
  - {{prefix: "2d00:100:b0::/48", unit: town, zone: office}}
  - {{prefix: "10.100.15.0/24", unit: city, zone: management}}
  - {{prefix: "10.100.1.0/24", unit: city, zone: backbone}}
  - {{prefix: "10.100.160.0/24", unit: bureau, zone: office}}
  - {{prefix: "10.100.160.80/32", unit: bureau, zone: portal}}
resolvers: ["{address("mgmt")}"]
"""

ASSETS = """\
credentials:
  - {{id: v2c, version: "2c", community: "file:community.secret"}}
  - id: v3
    version: "3"
    user: {user}
    auth_protocol: SHA
    auth_key: file:auth.secret
    priv_protocol: AES
    priv_key: file:priv.secret
devices:
  - id: city-router
    name: 市核心路由器
    unit: city
    zone: backbone
    address: "{city}"
    credential: v2c
    interval: 10
    router: true
    macs: ["{city_mac}"]
    level: 3
    responsible: {{authority: wang, operator: li, user: li}}
  - id: county-router
    name: 县汇聚路由器
    unit: county
    zone: backbone
    address: "{county}"
    credential: v3
    interval: 10
    router: true
    dhcp: true
    segments: [county, bureau]
    advertises: ["{lan}"]
    addresses: ["{lan_address}", "{lan_link_local}", "10.100.160.1"]
    macs: ["{lan_mac}", "{backbone_mac}"]
    level: 3
    responsible: {{authority: wang, operator: li, user: li}}
systems:
  - id: portal
    name: 县教育局门户网站
    unit: bureau
    zone: portal
    domains: [{domain}]
    addresses: ["{portal}"]
    macs: ["{portal_mac}"]
    level: 3
    responsible: {{authority: wang, operator: li, user: zhang}}
terminals:
  - {{id: probe, name: 探针主机, unit: bureau, macs: ["{probe_mac}"]}}
  - {{id: window, name: 窗口一, unit: bureau, macs: ["{terminal_mac}"]}}
  - {{id: meeting-room, name: 会议室, unit: bureau, macs: ["{intruder_mac}"]}}
  - {{id: access-switch, name: 接入交换机, unit: bureau, addresses: ["2d00:100:a0:1::2"]}}
"""


def write(folder: Path, topology: Topology, secrets: Secrets) -> None:
    """Secrets stay out of the inventory, in files of their own with mode 0600."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, secret in (("community", secrets.community), ("auth", secrets.auth), ("priv", secrets.priv)):
        file = folder / f"{name}.secret"
        file.touch(mode=0o600)
        file.write_text(secret + "\n")
    county = topology.names["county"]
    assets = ASSETS.format(
        user=secrets.user,
        city=address("city"),
        city_mac=topology.names["city"].mac("mgmt"),
        county=address("county"),
        portal=address("portal"),
        domain=DOMAIN,
        **{f"{name}_mac": topology.names[name].mac("bureau") for name in ("portal", "probe", "terminal", "intruder")},
        lan=LAN_PREFIX,
        lan_address=county.address("bureau"),
        lan_link_local=county.link_local("bureau"),
        lan_mac=county.mac("bureau"),
        backbone_mac=county.mac("backbone"),
    )
    for name, text in (("units", UNITS), ("network", NETWORK), ("assets", assets)):
        (folder / f"{name}.yml").write_text(text)
