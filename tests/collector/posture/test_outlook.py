"""Early warnings over series with known answers, each from every store: usual hours, filling links, certificates."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from collector import shipped
from collector.posture.baseline import BEIJING_MS, HOUR_MS
from collector.posture.indicator import Book
from collector.posture.load import load
from collector.posture.outlook import DAY_MS, Outlook, look
from collector.query import Kind
from collector.store import Record, Store
from telemetry.clock import ManualClock, iso
from telemetry.event import Event, Value
from tests.collector.stores.test_contract import visible

AT = ManualClock().now_ms() // HOUR_MS * HOUR_MS
WEEK_MS = 7 * DAY_MS
MIDNIGHT = (AT + BEIJING_MS) // DAY_MS * DAY_MS - BEIJING_MS


def record(name: str, at: int, dataset: str, action: str, kind: Kind = Kind.EVENT, **fields: Value) -> Record:
    doc: Event = {"@timestamp": at, "event.dataset": dataset, "event.action": action, "event.ingested": at}
    return Record(kind, name, doc | {key.replace("__", "."): value for key, value in fields.items()})


def only(warning: str) -> Book:
    book, _ = load([shipped.rules()])
    return Book(book.indicators, tuple(rule for rule in book.warnings if rule.id == warning), book.scale)


def looked(store: Store, warning: str) -> Outlook:
    (found,) = look(visible(store), only(warning), AT)
    return found


def sight(unit: str, hour: int, state: str = "known") -> Record:
    """A score record, as the posture part writes it: in this hour somebody could see."""
    return record(
        f"s-{unit}-{hour}", hour, "tengwang.posture", "score", tengwang__posture__scope="unit",
        tengwang__posture__subject=unit, tengwang__posture__state=state,
    )  # fmt: skip


def flows(unit: str, hour: int, octets: int) -> Record:
    return record(
        f"f-{unit}-{hour}", hour + 1000, "tengwang.flow", "flow", tengwang__unit__id=unit, network__bytes=octets
    )


def weeks(unit: str, octets: list[int | None], state: str = "known") -> Iterator[Record]:
    """The last hour of each week, the newest last; None: there was no traffic."""
    for back, amount in enumerate(reversed(octets)):
        hour = AT - HOUR_MS - back * WEEK_MS
        yield sight(unit, hour, state)
        if amount is not None:
            yield flows(unit, hour, amount)


def test_an_hour_unlike_its_weeks_is_found_and_what_can_not_be_judged_is_counted(store: Store) -> None:
    usual: list[int | None] = [10_000_000, 11_000_000, 9_000_000, 10_000_000, 10_500_000]
    store.write([*weeks("calm", [*usual, 10_200_000]), *weeks("burst", [*usual, 30_000_000])])
    store.write([*weeks("gone", [*usual, None]), *weeks("new", [10_000_000, 90_000_000])])
    store.write(list(weeks("unseen", [*usual, 90_000_000], state="blind")))
    found = looked(store, "traffic-unusual")
    assert (found.judged, found.short, found.cut) == (3, 1, False)
    assert {f.unit: f.colour for f in found.findings} == {"burst": "orange", "gone": "yellow"}
    burst = next(f for f in found.findings if f.unit == "burst")
    assert (burst.observed, burst.expected) == (30_000_000, 10_000_000)
    assert burst.value == pytest.approx(20_000_000 / 1_000_000, rel=0.35)
    assert burst.evidence == "dataset:tengwang.flow unit:burst"


def test_many_alerts_where_there_are_few_warn_and_few_do_not(store: Store) -> None:
    for unit, now in (("quiet", 1), ("loud", 30)):
        for back in range(6):
            hour = AT - HOUR_MS - back * WEEK_MS
            store.write([sight(unit, hour)])
            store.write(
                [
                    record(f"a-{unit}-{back}-{n}", hour + n, "tengwang.alert", "x", Kind.ALERT, tengwang__unit__id=unit)
                    for n in range(now if back == 0 else 1)
                ]
            )
    found = looked(store, "alerts-unusual")
    assert (found.judged, [(f.unit, f.colour, f.kind) for f in found.findings]) == (2, [("loud", "red", "alerts")])


def link(device: str, index: int, shares: list[float | None], speed: int = 10**9) -> Iterator[Record]:
    """Polled every quarter of an hour for two hours of each day and all of the last day; None: that day it was not."""
    counter = 0
    for day, share in enumerate([*shares, shares[-1]]):
        first, hours = MIDNIGHT + (day - len(shares)) * DAY_MS + 9 * HOUR_MS, 2
        if day == len(shares):
            first, hours = AT - DAY_MS, 24
        for quarter in range(hours * 4 if share is not None else 0):
            moment = first + quarter * HOUR_MS // 4
            yield record(
                f"l-{device}-{index}-{moment}", moment, "tengwang.snmp", "interface", tengwang__device__id=device,
                tengwang__interface__index=index, tengwang__interface__name=f"ge{index}", tengwang__unit__id="nc",
                tengwang__interface__in_octets=counter, tengwang__interface__out_octets=0,
                tengwang__interface__speed=speed,
            )  # fmt: skip
            counter += int((share or 0.0) / 100 * speed * 900 / 8)
        counter += 10**6


def test_a_link_that_fills_is_foretold_to_the_day(store: Store) -> None:
    rising: list[float | None] = [40 + day for day in range(30)]
    rising[10] = rising[11] = None
    flat: list[float | None] = [60.0 + (day % 2) for day in range(30)]
    store.write([*link("core", 1, rising), *link("core", 2, flat), *link("core", 3, [50.0, 55.0, 60.0])])
    store.write(list(link("core", 4, [0.001] * 30)))
    found = looked(store, "capacity")
    assert (found.judged, found.short) == (3, 1)
    (one,) = found.findings
    assert (one.subject, one.unit, one.colour) == ("core ge1", "nc", "red")
    assert one.observed == pytest.approx(69, abs=0.5)
    assert one.value == pytest.approx(11, abs=0.5)
    assert one.low <= one.value <= one.high


def verdict(subject: str, expires: list[str] | None, at: int = AT - HOUR_MS) -> Record:
    evidence = {"ipv6": []} if expires is None else {"expires": expires}
    return record(
        f"c-{subject}-{at}", at, "tengwang.readiness", "check", tengwang__check__id="tls_parity",
        tengwang__check__subject=subject, tengwang__unit__id="nc",
        tengwang__check__evidence=msgspec.json.encode(evidence).decode(),
    )  # fmt: skip


def test_certificates_that_run_out_and_those_that_nobody_read(store: Store) -> None:
    def day(days: float) -> str:
        return iso(int(AT + days * DAY_MS))

    store.write([verdict("www", [f"{day(90)} [::1]:443", f"{day(20)} 10.0.0.1:443"]), verdict("oa", [day(-1)])])
    store.write([verdict("far", [day(300)]), verdict("old", None), verdict("odd", ["soon"])])
    store.write([verdict("renewed", [day(2)], AT - 3 * HOUR_MS), verdict("renewed", [day(365)], AT - HOUR_MS)])
    found = looked(store, "certificate")
    assert (found.judged, found.short) == (4, 2)
    assert [(f.subject, f.colour, round(f.value)) for f in found.findings] == [("oa", "red", -1), ("www", "yellow", 20)]


def value(scope: str, subject: str, days_ago: int, amount: float) -> Record:
    return record(
        f"v-{scope}-{subject}-{days_ago}", AT - days_ago * DAY_MS - 1, "tengwang.posture", "indicator",
        tengwang__posture__scope=scope, tengwang__posture__subject=subject,
        tengwang__posture__indicator="readiness-passed", tengwang__posture__value=amount,
    )  # fmt: skip


def test_a_target_that_will_be_missed(store: Store) -> None:
    store.write([value("all", "all", ago, 60.0) for ago in range(30)])
    store.write([value("unit", "fast", ago, 88.0 - 0.5 * ago) for ago in range(30)])
    store.write([value("unit", "falls", ago, 70.0 + 0.5 * ago) for ago in range(30)])
    store.write([value("unit", "new", ago, 10.0) for ago in range(5)])
    found = looked(store, "readiness-target")
    assert (found.judged, found.short) == (3, 1)
    by_unit = {f.unit: (f.colour, round(f.value)) for f in found.findings}
    assert by_unit == {"": ("red", 30), "falls": ("red", 90)}, "what rises half a point a day is there in time"
