"""Any question over any events: every engine answers as the reference does.

Events and questions are drawn from small sets of values, so that they meet often: missing fields, lists with repeats,
both address families, mapped addresses, numbers at the edges, text in two scripts, equal times, times not believable.
"""

from __future__ import annotations

import ipaddress
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import query_normal as normal
from collector.partition import DAY_MS
from collector.query import (
    Aggregate,
    AnyOf,
    ByTerm,
    ByTime,
    Cidr,
    Condition,
    Contains,
    Equals,
    Exists,
    Kind,
    Latest,
    Measure,
    Not,
    Range,
    Row,
    Scalar,
    Search,
)
from collector.store import Record, Store, StoreContext
from collector.stores import sqlite
from collector.stores.sqlite import paging
from telemetry.clock import ManualClock
from telemetry.event import Event, Value
from telemetry.fields import BY_NAME, Type
from telemetry.report import Report
from telemetry.validate import validate
from tests.collector.stores import reference
from tests.collector.stores.test_contract import visible

NOW = ManualClock().now_ms()
HOUR = 3_600_000
WORDS = ["tengwang.flow", "tengwang.host", "a", "A", "路由器", "É", "50%", "x_y", "*", "\\", "", "true", "443", " "]
ADDRESSES = [
    "::",
    "::1",
    "10.0.0.1",
    "10.0.0.2",
    "10.1.0.0",
    "255.255.255.255",
    "2001:db8::1",
    "2001:db8:1::",
    "fe80::1",
]
ADDRESSES += ["fe80::1", "::ffff:0:1", str(ipaddress.ip_address("::ffff:10.0.0.1"))]
PREFIXES = ["10.0.0.0/8", "10.0.0.0/31", "0.0.0.0/0", "::/0", "::/64", "2001:db8::/32", "::ffff:10.0.0.0/104"]
LONGS = [0, 1, -1, 80, 443, 2**31, 2**40, -(2**40)]  # beyond 2**53 a sum of doubles depends on its order
DOUBLES: list[float] = [0.0, 0.5, -2.25, 1e9, 3]
TIMES = [0, 1, NOW, NOW - HOUR, NOW - DAY_MS, 4_102_444_800_000]
OWN_TIMES = [0, NOW, NOW - 1, NOW - HOUR // 2, NOW - HOUR, NOW - DAY_MS, NOW - DAY_MS + 1]
OWN_TIMES += [NOW - 200 * DAY_MS, NOW + 9 * DAY_MS]
OF_TYPE: dict[Type, Sequence[Scalar]] = {
    Type.KEYWORD: WORDS,
    Type.TEXT: WORDS,
    Type.LONG: LONGS,
    Type.DOUBLE: DOUBLES,
    Type.BOOLEAN: [True, False],
    Type.IP: ADDRESSES,
    Type.DATE: TIMES,
}
FIELDS = [
    *("event.dataset", "event.action", "tengwang.unit.id", "host.name", "agent.name", "message", "tags", "host.ip"),
    *(
        "source.ip",
        "destination.ip",
        "tengwang.ndp.target",
        "destination.port",
        "source.port",
        "network.bytes",
        "event.duration",
    ),
    *("host.cpu.usage", "tengwang.ndp.router", "event.start", "tengwang.unit.path"),
]
NUMBERS = [name for name in FIELDS if BY_NAME[name].type in normal.NUMBERS]
GROUPABLE = [name for name in FIELDS if BY_NAME[name].type is not Type.TEXT]


def event(draw: random.Random, number: int) -> Event:
    doc: Event = {"@timestamp": draw.choice(OWN_TIMES), "event.id": f"a-1-{number}", "event.ingested": NOW}
    doc["event.dataset"], doc["event.action"] = draw.choice(WORDS), draw.choice(WORDS)
    for name in FIELDS[2:]:
        if draw.random() < 0.5:
            field = BY_NAME[name]
            several: list[Value] = [draw.choice(OF_TYPE[field.type]) for _ in range(draw.randrange(4))]
            doc[name] = several if field.many and draw.random() < 0.7 else draw.choice(OF_TYPE[field.type])  # type: ignore[assignment]
    return validate(doc)


scalars: st.SearchStrategy[Scalar] = st.sampled_from(
    [*WORDS, *ADDRESSES, *LONGS, *DOUBLES, True, False, "0.5", "TRUE", "2001:DB8::1", "x" * 50]
)
names = st.sampled_from(FIELDS)
bounds = st.none() | st.sampled_from([*LONGS, *DOUBLES, *TIMES, 79.5, 443.5, 1e30, -1e30, math.inf, -math.inf])


@st.composite
def equals(draw: st.DrawFn) -> Equals:
    name = draw(names)
    own = st.sampled_from(OF_TYPE[BY_NAME[name].type])
    return Equals(name, tuple(draw(st.lists(own | scalars, max_size=3))))


plain = st.one_of(
    equals(),
    st.builds(
        Cidr,
        st.sampled_from(["source.ip", "destination.ip", "host.ip", "tengwang.ndp.target"]),
        st.sampled_from(PREFIXES),
    ),
    st.builds(Range, st.sampled_from(NUMBERS), bounds, bounds),
    st.builds(Exists, names),
    st.builds(
        Contains,
        st.sampled_from(["event.dataset", "host.name", "agent.name", "message", "tags"]),
        st.sampled_from([*WORDS, "TENG", "flo", "é", "路", "%", "_", "?"]),
    ),
)
negated = plain | st.builds(Not, plain)
conditions: st.SearchStrategy[tuple[Condition, ...]] = st.lists(
    negated | st.builds(AnyOf, st.lists(negated, max_size=3).map(tuple)), max_size=3
).map(tuple)
ends = st.sampled_from([0, NOW - DAY_MS, NOW - HOUR, NOW - 2 * HOUR + 7, NOW, NOW + 1, 2**45, NOW // DAY_MS * DAY_MS])
by = st.builds(ByTerm, st.sampled_from(GROUPABLE)) | st.builds(ByTime, st.sampled_from([HOUR, DAY_MS, HOUR // 4, 7]))
measures = st.one_of(
    st.just(Measure("count")),
    st.builds(Measure, st.sampled_from(["sum", "min", "max"]), st.sampled_from(NUMBERS)),
    st.builds(Measure, st.just("distinct"), st.sampled_from(GROUPABLE)),
)
limits = st.sampled_from([1, 3, 1000])
searches = st.builds(Search, ends, ends, conditions, limit=st.sampled_from([3, 50, 1000]), oldest_first=st.booleans())
latests = st.builds(
    Latest, ends, ends, st.lists(st.sampled_from(GROUPABLE), min_size=1, max_size=2, unique=True).map(tuple),
    conditions, limit=limits,
)  # fmt: skip
aggregates = st.builds(
    Aggregate, ends, ends, conditions,
    by=st.lists(by, max_size=2, unique_by=lambda b: b if isinstance(b, ByTerm) else "time").map(tuple),
    measures=st.lists(measures, min_size=1, max_size=3).map(tuple), limit=limits,
)  # fmt: skip
questions = st.one_of(searches, latests, aggregates)


def agrees(store: Store, docs: Sequence[Event], question: Search | Latest | Aggregate) -> None:
    match question:
        case Search():
            wanted = reference.search(docs, normal.search(question))
            page = store.search(question)
            assert list(page.rows) == wanted[: question.limit]
            if page.after:
                following = store.search(msgspec.structs.replace(question, after=page.after))
                assert list(following.rows) == wanted[question.limit : 2 * question.limit]
            assert bool(page.after) is (len(wanted) > question.limit)
        case Latest():
            assert list(store.latest(question)) == reference.latest(docs, normal.latest(question))
        case Aggregate():
            same_rows(store.aggregate(question), reference.aggregate(docs, normal.aggregate(question)))


def same_rows(found: Sequence[Row], wanted: Sequence[Row]) -> None:
    assert [row.keys for row in found] == [row.keys for row in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-9, abs=1e-9, nan_ok=True)


def test_every_engine_answers_as_the_reference(store: Store) -> None:
    draw = random.Random(8)
    docs = [event(draw, n) for n in range(400)]
    for start in range(0, len(docs), 90):
        written = store.write([Record(Kind.EVENT, str(d["event.id"]), d) for d in docs[start : start + 90]])
        assert written.refused == ()
    visible(store)

    @settings(max_examples=150, deadline=None, database=None)
    @given(questions)
    def ask(question: Search | Latest | Aggregate) -> None:
        agrees(store, docs, question)

    ask()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.lists(searches | questions, max_size=6),
    st.sampled_from([0, 2, 2000]),
)
def test_sqlite_answers_as_the_reference_whatever_was_written(
    seed: int, batches: list[int], asked: list[Search | Latest | Aggregate], few: int
) -> None:
    """``few`` sends pages through the address indexes, past them, or both."""
    draw = random.Random(seed)
    docs: list[Event] = []
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "FEW", few)
        patch.setattr(paging, "MAX_ENTRIES", few)
        clock = ManualClock()
        store = sqlite.build(sqlite.Config(reserve_mb=0), StoreContext(Path(home), clock, Report(clock)))
        try:
            for size in batches:
                fresh = [event(draw, len(docs) + n) for n in range(size)]
                again = [d for d in docs if draw.random() < 0.2]
                written = store.write([Record(Kind.EVENT, str(d["event.id"]), d) for d in (*again, *fresh, *again)])
                assert (written.stored, written.duplicates) == (len(fresh), 2 * len(again))
                docs += fresh
            for question in asked:
                agrees(store, docs, question)
        finally:
            store.close()
