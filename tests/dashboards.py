"""Writes ``dashboards/*.json``: Grafana dashboards in two languages, each from one description.

``python -m tests.dashboards`` writes them; a test holds that the files are what this makes, that Grafana's schema
takes them, and that every panel's query answers with rows (tests/test_dashboards.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path("dashboards")
Json = dict[str, Any]
EVENTS: Json = {"type": "elasticsearch", "uid": "tengwang-events"}
ALERTS: Json = {"type": "elasticsearch", "uid": "tengwang-alerts"}
INCIDENTS: Json = {"type": "elasticsearch", "uid": "tengwang-incidents"}
PROMETHEUS: Json = {"type": "prometheus", "uid": "tengwang-prometheus"}
COUNT: Json = {"id": "1", "type": "count"}
Words = Callable[[str, str], str]


def metric(op: str, field: str) -> Json:
    return {"id": "1", "type": op, "field": field}


def by_time() -> Json:
    settings = {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}
    return {"id": "9", "type": "date_histogram", "field": "@timestamp", "settings": settings}


def by_term(field: str, size: int = 10, order: str = "_count", id: str = "2") -> Json:
    settings = {"size": str(size), "order": "desc", "orderBy": order, "min_doc_count": "1"}
    return {"id": id, "type": "terms", "field": field, "settings": settings}


def lucene(query: str, measure: Json, *buckets: Json, source: Json = EVENTS, alias: str = "") -> Json:
    made = {"refId": "A", "datasource": source, "query": query, "timeField": "@timestamp", "metrics": [measure]}
    return {**made, "bucketAggs": list(buckets), **({"alias": alias} if alias else {})}


def rows(query: str, size: int, source: Json) -> Json:
    """Newest records, as documents."""
    raw = {"id": "1", "type": "raw_data", "settings": {"size": str(size)}}
    return lucene(query, raw, source=source)


def promql(expression: str, legend: str = "", instant: bool = False, ref: str = "A") -> Json:
    how = {"instant": True, "range": False} if instant else {"instant": False, "range": True}
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "expr": expression,
        "legendFormat": legend,
        "editorMode": "code",
        **how,
    }


class Board:
    """Panels placed from left to right on Grafana's 24 columns."""

    def __init__(self) -> None:
        self.panels: list[Json] = []
        self._x = self._y = self._tall = 0

    def add(
        self, type: str, title: str, targets: list[Json], width: int, height: int = 8, unit: str = "", **options: Any
    ) -> None:
        if self._x + width > 24:
            self._x, self._y, self._tall = 0, self._y + self._tall, 0
        place = {"h": height, "w": width, "x": self._x, "y": self._y}
        self._x, self._tall = self._x + width, max(self._tall, height)
        defaults: Json = {"unit": unit} if unit else {}
        if type == "timeseries":
            defaults["custom"] = {"fillOpacity": 15, "lineWidth": 1, "showPoints": "never"}
            if options.pop("stacked", False):
                defaults["custom"]["stacking"] = {"mode": "normal", "group": "A"}
        if steps := options.pop("steps", None):
            defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        self.panels.append(
            {
                "id": len(self.panels) + 1,
                "type": type,
                "title": title,
                "datasource": targets[0]["datasource"],
                "targets": targets,
                "gridPos": place,
                "fieldConfig": {"defaults": defaults, "overrides": []},
                "options": options,
            }
        )


def red_above(limit: float) -> list[Json]:
    return [{"value": None, "color": "green"}, {"value": limit, "color": "red"}]


def red_below(limit: float) -> list[Json]:
    return [{"value": None, "color": "red"}, {"value": limit, "color": "green"}]


def overview(w: Words) -> Board:
    board = Board()
    flow = 'event.dataset:"tengwang.flow"'
    summed = {"calcs": ["sum"], "fields": "", "values": False}
    board.add(
        "stat",
        w("事件", "Events"),
        [lucene("*", COUNT, by_time())],
        6,
        4,
        "short",
        graphMode="area",
        reduceOptions=summed,
    )
    board.add(
        "stat",
        w("告警", "Alerts"),
        [lucene("*", COUNT, by_time(), source=ALERTS)],
        6,
        4,
        "short",
        steps=red_above(1),
        reduceOptions=summed,
    )
    board.add(
        "stat",
        w("上报事件的单位", "Units that report"),
        [lucene("*", metric("cardinality", "tengwang.unit.id"), by_time())],
        6,
        4,
        reduceOptions={"calcs": ["max"], "fields": "", "values": False},
    )
    board.add(
        "piechart",
        w("IPv6 与 IPv4 流量（字节）", "IPv6 and IPv4 traffic (bytes)"),
        [lucene(flow, metric("sum", "network.bytes"), by_term("network.type", 5, "1"))],
        6,
        4,
        "bytes",
        reduceOptions={"calcs": ["lastNotNull"], "fields": "", "values": True},
    )
    board.add(
        "timeseries",
        w("事件数（按数据集）", "Events by dataset"),
        [lucene("*", COUNT, by_term("event.dataset", 10, id="3"), by_time())],
        12,
        unit="short",
        stacked=True,
    )
    board.add(
        "timeseries",
        w("告警数（按级别）", "Alerts by level"),
        [lucene("*", COUNT, by_term("rule.level", 5, id="3"), by_time(), source=ALERTS)],
        12,
        unit="short",
        stacked=True,
    )
    board.add(
        "barchart",
        w("事件数（按单位）", "Events by unit"),
        [lucene("tengwang.unit.name:*", COUNT, by_term("tengwang.unit.name", 20))],
        12,
        xField="tengwang.unit.name",
    )
    board.add(
        "table",
        w("流量最大的源地址", "Top talkers"),
        [lucene(flow, metric("sum", "network.bytes"), by_term("source.ip", 10, "1"))],
        12,
        unit="bytes",
    )
    check = 'event.dataset:"tengwang.readiness"'
    board.add(
        "timeseries",
        w("IPv6 就绪度检查结果", "IPv6 readiness verdicts"),
        [lucene(check, COUNT, by_term("tengwang.check.status", 4, id="3"), by_time())],
        12,
        stacked=True,
    )
    board.add(
        "table",
        w("未通过的检查", "Checks that fail"),
        [
            lucene(
                f"{check} AND tengwang.check.status:fail",
                COUNT,
                by_term("tengwang.check.subject", 20),
                by_term(f"tengwang.check.title.{w('zh', 'en')}", 10, id="3"),
            )
        ],
        12,
    )
    board.add("table", w("最新告警", "Newest alerts"), [rows("*", 50, ALERTS)], 24)
    return board


def agents(w: Words) -> Board:
    board = Board()
    board.add(
        "stat",
        w("探针", "Agents"),
        [promql("tengwang_agents", "{{state}}", instant=True)],
        8,
        4,
        reduceOptions={"calcs": ["lastNotNull"], "fields": "", "values": False},
    )
    board.add(
        "stat",
        w("缺失的事件（无人认账）", "Events nobody accounts for"),
        [promql("sum(tengwang_ledger_missing)", w("缺失", "missing"), instant=True)],
        8,
        4,
        steps=red_above(1),
    )
    board.add(
        "stat",
        w("存储可写", "Store takes events"),
        [promql("min(tengwang_store_writable)", w("可写", "writable"), instant=True)],
        8,
        4,
        steps=red_below(1),
    )
    ledger = [
        promql(f"sum(tengwang_ledger_{name})", w(zh, name), ref=chr(65 + at))
        for at, (name, zh) in enumerate((("collected", "采集"), ("stored", "入库"), ("spooled", "待发")))
    ]
    board.add(
        "timeseries", w("账目：采集 = 入库 + 待发 + 丢弃", "Ledger: collected = stored + spooled + dropped"), ledger, 12
    )
    board.add(
        "timeseries",
        w("丢弃（按原因）", "Dropped by reason"),
        [promql("sum by (reason) (tengwang_ledger_dropped)", "{{reason}}")],
        12,
        steps=red_above(1),
    )
    status = 'event.dataset:"tengwang.agent" AND event.action:status'
    board.add(
        "timeseries",
        w("探针内存", "Memory of the agents"),
        [lucene(status, metric("max", "process.memory.rss"), by_term("agent.name", 20, id="3"), by_time())],
        12,
        unit="bytes",
    )
    board.add(
        "timeseries",
        w("探针待发事件", "Events waiting on the agents"),
        [lucene(status, metric("max", "tengwang.ledger.spooled"), by_term("agent.name", 20, id="3"), by_time())],
        12,
    )
    board.add(
        "table",
        w("不可见或故障的采集项", "Inputs that are blind or failing"),
        [
            lucene(
                "event.action:input-state AND tengwang.input.state:(blind OR failing)",
                COUNT,
                by_term("agent.name", 50),
                by_term("tengwang.input.type", 10, id="3"),
                by_term("tengwang.input.state", 4, id="4"),
            )
        ],
        12,
    )
    board.add(
        "timeseries",
        w("存储的记录数", "Records in the store"),
        [promql("max(tengwang_store_records)", w("记录", "records"))],
        12,
        unit="short",
    )
    return board


LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
TIMES = (
    ("mttd", "发现用时 MTTD", "Time to detect, MTTD"),
    ("mtta", "签收用时 MTTA", "Time to acknowledge, MTTA"),
    ("mttc", "遏制用时 MTTC", "Time to contain, MTTC"),
    ("mttr", "闭环用时 MTTR", "Time to close, MTTR"),
)


def incidents(w: Words) -> Board:
    """Each change of an incident is one record, so times are read where the change that ends them was made."""
    board = Board()
    taken = "tengwang.incident.action:acknowledged"
    ends = {
        "mttd": "tengwang.incident.revision:1",
        "mtta": f"{taken} OR (tengwang.incident.action:state AND tengwang.incident.state:handling)",
        "mttc": "tengwang.incident.action:contained",
        "mttr": "tengwang.incident.state:closed",
    }
    for name, zh, en in TIMES:
        asked = f"({ends[name]}) AND tengwang.incident.{name}:*"
        board.add(
            "stat",
            w(zh, en),
            [lucene(asked, metric("avg", f"tengwang.incident.{name}"), by_time(), source=INCIDENTS)],
            6,
            4,
            "ms",
            reduceOptions={"calcs": ["mean"], "fields": "", "values": False},
        )
    board.add(
        "timeseries",
        w("响应用时（平均）", "Response times (mean)"),
        [
            {
                **lucene(
                    f"({ends[name]}) AND tengwang.incident.{name}:*",
                    metric("avg", f"tengwang.incident.{name}"),
                    by_time(),
                    source=INCIDENTS,
                    alias=w(zh, en),
                ),
                "refId": chr(65 + at),
            }
            for at, (name, zh, en) in enumerate(TIMES)
        ],
        12,
        unit="ms",
    )
    board.add(
        "timeseries",
        w("新发现的安全事件（按级别）", "Incidents found, by level"),
        [lucene("tengwang.incident.revision:1", COUNT, by_term("rule.level", 5, id="3"), by_time(), source=INCIDENTS)],
        12,
        unit="short",
        stacked=True,
    )
    board.add(
        "timeseries",
        w("处置状态的变化", "Changes of state"),
        [lucene("*", COUNT, by_term("tengwang.incident.state", 8, id="3"), by_time(), source=INCIDENTS)],
        12,
        unit="short",
        stacked=True,
    )
    board.add(
        "barchart",
        w("安全事件（按单位）", "Incidents by unit"),
        [
            lucene(
                "tengwang.unit.name:*",
                metric("cardinality", "tengwang.incident.id"),
                by_term("tengwang.unit.name", 20, "1"),
                source=INCIDENTS,
            )
        ],
        12,
        xField="tengwang.unit.name",
    )
    board.add(
        "table",
        w("安全事件（按规则和分类）", "Incidents by rule and class"),
        [
            lucene(
                "*",
                metric("cardinality", "tengwang.incident.id"),
                by_term(w("tengwang.rule.name.zh", "rule.name"), 20, "1"),
                by_term("rule.category", 10, id="3"),
                source=INCIDENTS,
            )
        ],
        12,
    )
    board.add(
        "piechart",
        w("谁签收的", "Who acknowledged"),
        [lucene(taken, COUNT, by_term("user.name", 20), source=INCIDENTS)],
        12,
        reduceOptions={"calcs": ["lastNotNull"], "fields": "", "values": True},
    )
    board.add("table", w("最新变化", "Newest changes"), [rows("*", 50, INCIDENTS)], 24)
    return board


def detection(w: Words) -> Board:
    board = Board()
    name = w("tengwang.rule.name.zh", "rule.name")
    board.add(
        "stat",
        w("告警", "Alerts"),
        [lucene("*", COUNT, by_time(), source=ALERTS)],
        6,
        4,
        "short",
        graphMode="area",
        reduceOptions={"calcs": ["sum"], "fields": "", "values": False},
    )
    board.add(
        "stat",
        w("命中的规则", "Rules that hit"),
        [lucene("*", metric("cardinality", "rule.id"), by_time(), source=ALERTS)],
        6,
        4,
        reduceOptions={"calcs": ["max"], "fields": "", "values": False},
    )
    board.add(
        "stat",
        w("规则（按状态）", "Rules by state"),
        [promql("max by (state) (tengwang_rules)", "{{state}}", instant=True)],
        6,
        4,
        reduceOptions=LAST,
    )
    board.add(
        "stat",
        w("规则加载用时", "Time to load the rules"),
        [promql("max(tengwang_rules_load_seconds)", w("加载", "load"), instant=True)],
        6,
        4,
        "s",
        reduceOptions=LAST,
    )
    for field, zh, en in (
        ("rule.level", "告警数（按级别）", "Alerts by level"),
        ("rule.category", "告警数（按 GB/T 20986 分类）", "Alerts by class of GB/T 20986"),
        (name, "告警数（按规则）", "Alerts by rule"),
        ("tengwang.unit.name", "告警数（按单位）", "Alerts by unit"),
    ):
        board.add(
            "timeseries",
            w(zh, en),
            [lucene("*", COUNT, by_term(field, 12, id="3"), by_time(), source=ALERTS)],
            12,
            unit="short",
            stacked=True,
        )
    board.add(
        "table",
        w("规则与命中的单位", "Rules and the units that they hit"),
        [lucene("*", COUNT, by_term(name, 30), by_term("tengwang.unit.name", 10, id="3"), source=ALERTS)],
        12,
    )
    board.add(
        "table",
        w("告警最多的源地址", "Sources with most alerts"),
        [lucene("source.ip:*", COUNT, by_term("source.ip", 20), source=ALERTS)],
        12,
    )
    board.add("table", w("最新告警", "Newest alerts"), [rows("*", 50, ALERTS)], 24)
    return board


SCORED = 'event.dataset:"tengwang.posture" AND event.action:score'
INDICATED = 'event.dataset:"tengwang.posture" AND event.action:indicator'
GOOD_FROM = [
    {"value": None, "color": "red"},
    {"value": 40, "color": "orange"},
    {"value": 60, "color": "yellow"},
    {"value": 75, "color": "blue"},
    {"value": 85, "color": "green"},
]


def posture(w: Words) -> Board:
    board = Board()
    score, name = metric("avg", "tengwang.posture.score"), w("tengwang.rule.name.zh", "rule.name")
    board.add(
        "gauge",
        w("全网得分", "Score of the whole network"),
        [lucene(f"{SCORED} AND tengwang.posture.scope:all AND tengwang.posture.score:*", score, by_time())],
        6,
        6,
        steps=GOOD_FROM,
        reduceOptions=LAST,
    )
    board.add(
        "timeseries",
        w("得分（按层级）", "Score by level"),
        [
            lucene(
                f"{SCORED} AND tengwang.posture.scope:level AND tengwang.posture.score:*",
                score,
                by_term("tengwang.posture.subject", 4, id="3"),
                by_time(),
            )
        ],
        18,
        6,
    )
    board.add(
        "timeseries",
        w("得分（按单位）", "Score by unit"),
        [
            lucene(
                f"{SCORED} AND tengwang.posture.scope:unit AND tengwang.posture.score:*",
                score,
                by_term("tengwang.unit.name", 60, id="3"),
                by_time(),
            )
        ],
        12,
    )
    board.add(
        "table",
        w("得分最低的单位", "Units with the lowest scores"),
        [
            lucene(
                f"{SCORED} AND tengwang.posture.scope:unit AND tengwang.posture.score:*",
                metric("min", "tengwang.posture.score"),
                by_term("tengwang.unit.name", 60),
            )
        ],
        12,
    )
    board.add(
        "timeseries",
        w("全网扣分（按指标）", "Points taken off the whole network, by indicator"),
        [
            lucene(
                f"{INDICATED} AND tengwang.posture.scope:all AND tengwang.posture.deduction:>0",
                metric("avg", "tengwang.posture.deduction"),
                by_term(name, 20, id="3"),
                by_time(),
            )
        ],
        12,
        stacked=True,
    )
    board.add(
        "table",
        w("扣分（按单位和指标）", "Points taken off, by unit and indicator"),
        [
            lucene(
                f"{INDICATED} AND tengwang.posture.scope:unit AND tengwang.posture.deduction:>0",
                metric("max", "tengwang.posture.deduction"),
                by_term("tengwang.unit.name", 60),
                by_term(name, 20, id="3"),
            )
        ],
        12,
    )
    board.add(
        "timeseries",
        w("可见性（单位数）", "Sight (units)"),
        [
            lucene(
                f"{SCORED} AND tengwang.posture.scope:unit",
                metric("cardinality", "tengwang.posture.subject"),
                by_term("tengwang.posture.state", 3, id="3"),
                by_time(),
            )
        ],
        12,
    )
    board.add(
        "table",
        w("预警", "Early warnings"),
        [
            lucene(
                'event.dataset:"tengwang.posture" AND event.action:outlook',
                COUNT,
                by_term(name, 20),
                by_term("tengwang.posture.colour", 5, id="3"),
            )
        ],
        12,
    )
    board.add(
        "stat",
        w("得分计算用时", "Time to compute the scores"),
        [promql("max(tengwang_posture_seconds)", w("计算", "computing"), instant=True)],
        12,
        4,
        "s",
        reduceOptions=LAST,
    )
    board.add(
        "stat",
        w("生效的指标", "Indicators in use"),
        [promql("max(tengwang_posture_indicators)", w("指标", "indicators"), instant=True)],
        12,
        4,
        reduceOptions=LAST,
    )
    return board


def readiness(w: Words) -> Board:
    board = Board()
    check = 'event.dataset:"tengwang.readiness" AND event.action:check'
    title, flow = f"tengwang.check.title.{w('zh', 'en')}", 'event.dataset:"tengwang.flow"'
    passed = 'tengwang.posture.indicator:"readiness-passed"'
    board.add(
        "gauge",
        w("就绪度检查通过率（全网）", "Readiness checks that pass (whole network)"),
        [
            lucene(
                f"{INDICATED} AND {passed} AND tengwang.posture.scope:all",
                metric("avg", "tengwang.posture.value"),
                by_time(),
            )
        ],
        6,
        7,
        "percent",
        reduceOptions=LAST,
    )
    board.add(
        "timeseries",
        w("就绪度检查通过率（按单位）", "Readiness checks that pass, by unit"),
        [
            lucene(
                f"{INDICATED} AND {passed} AND tengwang.posture.scope:unit",
                metric("avg", "tengwang.posture.value"),
                by_term("tengwang.unit.name", 60, id="3"),
                by_time(),
            )
        ],
        18,
        7,
        "percent",
    )
    board.add(
        "timeseries",
        w("IPv6 流量占比（全网）", "Share of IPv6 in the traffic (whole network)"),
        [
            lucene(
                f'{INDICATED} AND tengwang.posture.indicator:"ipv6-traffic" AND tengwang.posture.scope:(all OR unit)',
                metric("avg", "tengwang.posture.value"),
                by_term("tengwang.posture.subject", 60, id="3"),
                by_time(),
            )
        ],
        12,
        unit="percent",
    )
    board.add(
        "timeseries",
        w("流量（按网络类型）", "Traffic by network type"),
        [lucene(flow, metric("sum", "network.bytes"), by_term("network.type", 5, id="3"), by_time())],
        12,
        unit="bytes",
        stacked=True,
    )
    board.add(
        "barchart",
        w("检查结论（按检查项）", "Verdicts by check"),
        [lucene(check, COUNT, by_term(title, 30), by_term("tengwang.check.status", 4, id="3"))],
        12,
        xField=title,
    )
    board.add(
        "table",
        w("未通过的检查（按单位和对象）", "Checks that fail, by unit and subject"),
        [
            lucene(
                f"{check} AND tengwang.check.status:fail",
                COUNT,
                by_term("tengwang.unit.name", 60),
                by_term("tengwang.check.subject", 20, id="3"),
                by_term(title, 20, id="4"),
            )
        ],
        12,
    )
    board.add(
        "table",
        w("最新的不通过结论", "Newest verdicts that are not a pass"),
        [rows(f"{check} AND tengwang.check.status:(fail OR warn)", 50, EVENTS)],
        24,
    )
    return board


WEEKS = {"incidents", "posture", "readiness"}
"""What moves by days and not by minutes."""
BOARDS = {
    "incidents": (incidents, "滕网 安全事件与响应用时", "Tengwang incidents and response times"),
    "detection": (detection, "滕网 检测", "Tengwang detection"),
    "posture": (posture, "滕网 安全态势", "Tengwang posture"),
    "readiness": (readiness, "滕网 IPv6 就绪度", "Tengwang IPv6 readiness"),
    "overview": (overview, "滕网 总览", "Tengwang overview"),
    "agents": (agents, "滕网 探针与账目", "Tengwang agents and ledger"),
}


def made() -> dict[str, Json]:
    """File name to dashboard."""
    found: dict[str, Json] = {}
    for name, (build, zh, en) in BOARDS.items():
        for language in ("zh", "en"):
            chinese = language == "zh"

            def words(z: str, e: str, chinese: bool = chinese) -> str:
                return z if chinese else e

            found[f"{name}.{language}.json"] = {
                "uid": f"tengwang-{name}-{language}",
                "title": zh if chinese else en,
                "tags": ["tengwang", language],
                "timezone": "Asia/Shanghai",
                "schemaVersion": 39,
                "editable": True,
                "graphTooltip": 1,
                "refresh": "30s",
                "time": {"from": "now-7d" if name in WEEKS else "now-6h", "to": "now"},
                "panels": build(words).panels,
            }
    return found


def text(board: Json) -> str:
    return json.dumps(board, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for name, board in made().items():
        (FOLDER / name).write_text(text(board), encoding="utf-8")
        print(FOLDER / name)
