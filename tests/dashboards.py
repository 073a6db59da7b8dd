"""Writes ``dashboards/*.json``: two Grafana dashboards in two languages from one description.

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


BOARDS = {
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
                "time": {"from": "now-6h", "to": "now"},
                "panels": build(words).panels,
            }
    return found


def text(board: Json) -> str:
    return json.dumps(board, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for name, board in made().items():
        (FOLDER / name).write_text(text(board), encoding="utf-8")
        print(FOLDER / name)
