"""A believable hour of a small city's extranet, for screenshots and for tests of pages: seven agents at three levels.

Made up, so only for looking at pages; it goes the real way through intake, enrichment, rules and store. Addresses are
documentation prefixes. The same seed gives the same hour.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from telemetry.event import Event, event
from telemetry.ledger import EpochLedger, encode
from telemetry.verdict import Severity, Status, Text, Verdict
from tests.running_site import RunningSite

INVENTORY = Path(__file__).with_suffix(".yml").read_text(encoding="utf-8")

AGENTS = (
    ("nc-core-probe", "nc", "2001:db8:10::5"),
    ("nc-edu-probe", "nc-edu", "2001:db8:20::5"),
    ("hgt-probe", "hgt", "2001:db8:30::5"),
    ("hgt-shajing-probe", "hgt-sj", "2001:db8:31::5"),
    ("ncx-probe", "ncx", "2001:db8:40::5"),
)
SILENT = "ncx-probe"
NO_RIGHT = "hgt-shajing-probe"
CHECKS = (
    ("aaaa", 1, "门户域名 AAAA 记录", "AAAA record", "readiness"),
    ("authority_chain", 2, "IPv6 域名授权体系", "IPv6 authority chain", "readiness"),
    ("reachable", 9, "首页 IPv6 可达", "Home page over IPv6", "readiness"),
    ("every_address", 11, "每个 AAAA 地址可达", "Every AAAA reachable", "readiness"),
    ("port_parity", 12, "端口一致", "Port parity", "readiness"),
    ("content_parity", 13, "内容一致", "Content parity", "readiness"),
    ("tls_parity", 18, "TLS 一致", "TLS parity", "readiness"),
)
ADVICE = Text("在 IPv6 与 IPv4 上开放同样的端口，并使用同一证书。", "Open the same ports over IPv6 as over IPv4.")
FOUND = {
    "portal": ("pass", "pass", "pass", "pass", "pass", "pass", "pass"),
    "edu": ("pass", "warn", "pass", "pass", "fail", "pass", "warn"),
    "service": ("pass", "fail", "pass", "warn", "pass", "fail", "pass"),
    "mail": ("fail", "not_tested", "not_tested", "not_tested", "not_tested", "not_tested", "not_tested"),
}


async def fill(site: RunningSite, minutes: int = 60, seed: int = 7) -> dict[str, str]:
    """Enrol the agents and let an hour pass. Returns agent ids by name."""
    chance = random.Random(seed)
    now = site.clock.now_ms()
    ids = {name: await site.enrol(name, unit) for name, unit, _ in AGENTS}
    for name, unit, address in AGENTS:
        site.clock.shift_ms = -14 * 60_000 if name == SILENT else 0
        last = now + site.clock.shift_ms
        agent = ids[name]
        made = [e for m in range(minutes) for e in _minute(chance, unit, address, last - m * 60_000)]
        for at in range(0, len(made), 2000):
            await site.feed(agent, made[at : at + 2000], epoch=1, address=address)
        await site.feed(agent, list(_states(name, address, last)), epoch=2, address=address)
        await site.feed(agent, list(_ledger(site, name, agent, last)), epoch=3, address=address)
    site.clock.shift_ms = 0
    await site.feed(ids["nc-core-probe"], [*_snmp(now), *_checks(now)], epoch=2, address=AGENTS[0][2])
    await site.feed(ids["hgt-probe"], list(_trouble(now)), epoch=2, address=AGENTS[2][2])
    misspelt: Event = {"@timestamp": now - 400_000, "event.dataset": "tengwang.flow", "soruce.ip": "::1"}
    await site.feed(ids["hgt-probe"], [misspelt], 2)
    return ids


def _minute(chance: random.Random, unit: str, address: str, at: int) -> Iterator[Event]:
    base = address.rpartition(":")[0]
    # busier by day than by night, and one burst, so that the chart looks like a network and not like a ruler
    minute = at // 60_000
    amount = 14 + int(8 * abs(minute % 40 - 20) / 20) + chance.randrange(6) + (30 if minute % 23 == 3 else 0)
    for _ in range(amount):
        when = at - chance.randrange(60_000)
        six = chance.random() < 0.72
        port = chance.choice((443, 443, 443, 80, 53, 22, 8443, 3306))
        octets = chance.randrange(200, 90_000)
        client = f"{base}:{chance.randrange(1, 250):x}" if six else f"198.51.100.{chance.randrange(2, 250)}"
        server = f"2001:db8:10:80::{chance.choice((80, 81, 443))}" if six else f"192.0.2.{chance.choice((10, 20))}"
        flow = event(when, "tengwang.flow", "flow")
        flow.update(
            {
                "network.type": "ipv6" if six else "ipv4",
                "network.transport": "udp" if port == 53 else "tcp",
                "network.iana_number": "17" if port == 53 else "6",
                "source.ip": client,
                "source.port": chance.randrange(32768, 60999),
                "destination.ip": server,
                "destination.port": port,
                "network.bytes": octets * 10,
                "network.packets": (octets // 700 + 1) * 10,
                "tengwang.flow.raw_bytes": octets,
                "tengwang.flow.raw_packets": octets // 700 + 1,
                "tengwang.flow.sampling_rate": 10,
                "event.duration": chance.randrange(1, 60) * 1_000_000_000,
            }
        )
        yield flow


def _states(name: str, address: str, at: int) -> Iterator[Event]:
    for kind in ("host", "packets", "ndp", "snmp", "readiness"):
        blind = name == NO_RIGHT and kind in ("packets", "ndp")
        failing = name == "hgt-probe" and kind == "snmp"
        state = event(at - 200_000, "tengwang.agent", "input-state", kind="state")
        word = "blind" if blind else "failing" if failing else "on"
        state.update({"tengwang.input.type": kind, "tengwang.input.state": word})
        if blind:
            state["event.reason"] = "没有 CAP_NET_RAW 权限"
            state["tengwang.input.advice"] = "sudo setcap cap_net_raw+ep $(readlink -f .venv/bin/python)"
        if failing:
            state["event.reason"] = "timeout"
            state["tengwang.input.advice"] = "check the route and the community of hgt-agg-1"
        yield state
    host = event(at, "tengwang.host", "host", kind="metric")
    host.update(
        {
            "host.name": name,
            "host.ip": [address, "198.51.100.5"],
            "host.os.full": "Debian GNU/Linux 12 (bookworm)",
            "host.os.kernel": "6.1.0-28-amd64",
            "host.architecture": "x86_64",
            "host.uptime": 1_987_200,
            "host.cpu.usage": 0.07,
        }
    )
    yield host
    for index, port in ((1, "lo"), (2, "eth0"), (3, "eth1")):
        counters = {f"tengwang.interface.{key}": value for key, value in _counters(index * 1_000_003).items()}
        row = event(at, "tengwang.host", "interface", kind="metric", **counters)
        row.update(
            {
                "host.name": name,
                "tengwang.interface.index": index,
                "tengwang.interface.name": port,
                "tengwang.interface.mtu": 65536 if port == "lo" else 1500,
                "tengwang.interface.speed": 0 if port == "lo" else 10**9,
                "tengwang.interface.mac": "" if port == "lo" else f"00-00-5E-00-53-{index:02X}",
                "tengwang.interface.oper_status": "down" if port == "eth1" else "up",
                "tengwang.interface.admin_status": "up",
            }
        )
        yield {k: v for k, v in row.items() if v != ""}
    for port, ip, length, scope in (
        ("lo", "::1", 128, "host"),
        ("eth0", address, 64, "global"),
        ("eth0", "fe80::200:5eff:fe00:5302", 64, "link"),
        ("eth0", "198.51.100.5", 24, "global"),
    ):
        yield _address(at, "tengwang.host", ip, length, scope, {"tengwang.interface.name": port, "host.name": name})


def _counters(base: int) -> dict[str, int]:
    return {
        "in_octets": base * 913,
        "out_octets": base * 377,
        "in_packets": base,
        "out_packets": base // 2,
        "in_errors": 0,
        "out_errors": 0,
        "in_discards": base % 7,
        "out_discards": 0,
    }


def _who(device: str, name: str, address: str) -> Event:
    return {"tengwang.device.id": device, "observer.name": name, "observer.ip": [address]}


def _address(at: int, dataset: str, ip: str, length: int, scope: str, more: dict[str, str]) -> Event:
    made = event(at, dataset, "address", kind="state")
    p = "tengwang.address."
    made.update({p + "ip": ip, p + "prefix_length": length, p + "scope": scope, p + "status": "preferred"})
    made.update({p + "origin": "linklayer" if scope == "link" else "manual", **more})
    return made


def _ledger(site: RunningSite, name: str, agent: str, at: int) -> Iterator[Event]:
    waiting = 180 if name == SILENT else 0
    dropped = 12 if name == "hgt-probe" else 0
    sent = site.sequence(agent, 1)
    rows = [
        EpochLedger(1, sent + waiting + dropped, sent, waiting, {"full": dropped} if dropped else {}),
        EpochLedger(2, site.sequence(agent, 2), site.sequence(agent, 2), 0),
    ]
    status = event(at, "tengwang.agent", "status", kind="metric")
    status.update({"tengwang.ledger.detail": encode(rows), "agent.version": "0.1.0", "process.uptime": 86_400 * 3})
    status.update({"process.memory.rss": 61_000_000, "process.cpu.pct": 0.006})
    yield status
    if dropped:
        lost = event(at, "tengwang.agent", "dropped")
        names = {"epoch": 1, "first": sent + 1, "last": sent + dropped, "count": dropped}
        lost.update({f"tengwang.drop.{k}": v for k, v in names.items()})
        lost.update({"event.reason": "full", "message": f"{dropped} flow records dropped: the spool was full"})
        yield lost


def _snmp(now: int) -> Iterator[Event]:
    for device, name, vendor, address in (
        ("nc-core-1", "NC-CORE-1", "Huawei", "2001:db8:10::1"),
        ("ncx-agg-1", "NCX-AGG-1", "ZTE", "2001:db8:40::1"),
    ):
        who = _who(device, name, address)
        system = event(now - 20_000, "tengwang.snmp", "system", kind="metric", **who)
        system.update(
            {
                "observer.vendor": vendor,
                "observer.os.full": f"{vendor} Versatile Routing Platform Software, Version 8.220",
                "tengwang.snmp.uptime": 8_640_000,
                "tengwang.snmp.version": "2c",
                "tengwang.snmp.rtt": 38.4,
                "tengwang.snmp.forwarding": True,
                "tengwang.snmp.support": '{"ipAddressTable":"ok","ipv6RouterAdvertTable":"unsupported"}',
            }
        )
        yield system
        for index in range(1, 5):
            port = f"GigabitEthernet0/0/{index}"
            row = event(now - 20_000, "tengwang.snmp", "interface", kind="metric", **who)
            row.update({f"tengwang.interface.{key}": value for key, value in _counters(index * 7_000_009).items()})
            row.update(
                {
                    "tengwang.interface.index": index,
                    "tengwang.interface.name": port,
                    "tengwang.interface.alias": ("至省骨干", "至红谷滩", "至南昌县", "备用")[index - 1],
                    "tengwang.interface.mtu": 1500,
                    "tengwang.interface.speed": 10**10,
                    "tengwang.interface.oper_status": "down" if index == 4 else "up",
                    "tengwang.interface.admin_status": "down" if index == 4 else "up",
                }
            )
            yield row
            base = address.removesuffix("::1")
            for ip, scope in ((f"{base}:{index:x}::1", "global"), (f"fe80::{index}", "link")):
                made = _address(now - 20_000, "tengwang.snmp", ip, 64, scope, {})
                made.update({**who, "tengwang.interface.index": index})
                yield made
    lost = event(now - 30_000, "tengwang.snmp", "poll-failed")
    lost.update({"tengwang.device.id": "hgt-agg-1", "event.outcome": "failure", "event.reason": "timeout"})
    lost["message"] = "hgt-agg-1 (2001:db8:30::1) did not answer within 5 s"
    yield lost


def _checks(now: int) -> Iterator[Event]:
    for asset, statuses in FOUND.items():
        domain = {"portal": "www", "edu": "edu", "service": "fw", "mail": "oa"}[asset] + ".portal.example"
        for (check, number, zh, en, severity), status in zip(CHECKS, statuses, strict=True):
            words = {
                "pass": (f"{domain} 符合要求", f"{domain} is as it should be"),
                "warn": (f"{domain} 部分符合要求", f"{domain} is only partly as it should be"),
                "fail": (f"{domain} 不符合要求", f"{domain} is not as it should be"),
                "not_tested": ("没有 AAAA 记录，无法检测", "there is no AAAA record to test"),
            }[status]
            verdict = Verdict(
                check=check,
                number=number,
                severity=Severity(severity),
                subject=domain,
                status=Status(status),
                title=Text(zh, en),
                summary=Text(*words),
                advice=ADVICE if status in ("warn", "fail") else Text("", ""),
                evidence={"addresses": ["2001:db8:10:80::80", "2001:db8:10:80::81"], "connect_ms": 12.4},
            )
            made = verdict.to_event(now - 90_000)
            made["tengwang.asset.id"] = asset
            yield made


def _trouble(now: int) -> Iterator[Event]:
    rogue = event(now - 140_000, "tengwang.ndp", "router_advertisement")
    rogue.update(
        {
            "source.ip": "fe80::bad:1",
            "source.mac": "02:00:00:00:ba:d1",
            "destination.ip": "ff02::1",
            "network.type": "ipv6",
            "tengwang.ndp.type": "router_advertisement",
            "tengwang.ndp.hop_limit": 255,
            "tengwang.ndp.registered": False,
            "tengwang.ndp.router_lifetime": 1800,
            "tengwang.ndp.prefixes": ["2001:db8:bad::/64"],
            "message": "RA from fe80::bad:1 announces 2001:db8:bad::/64",
        }
    )
    yield rogue
    forged = dict(rogue)
    forged.update({"@timestamp": now - 900_000, "tengwang.ndp.hop_limit": 64, "tengwang.ndp.registered": True})
    yield forged
    tunnel = event(now - 1_500_000, "tengwang.flow", "flow")
    tunnel.update({"network.type": "ipv4", "network.iana_number": "41", "source.ip": "198.51.100.77"})
    tunnel.update({"destination.ip": "203.0.113.9", "network.bytes": 120_000, "network.packets": 130})
    yield tunnel
