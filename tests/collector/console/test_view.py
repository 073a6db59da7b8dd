"""Words and numbers as a reader sees them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.console.charts import histogram, nice, segments
from collector.console.view import View, accepted
from collector.views.events import Bar

NOW = 1_795_420_800_000  # 2026-11-23T08:00:00Z


def view(language: str = "en", zone: str = "Asia/Shanghai") -> View:
    return View(language, "auto", zone, NOW, "/", None)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "zh-CN"),
        ("en-GB,en;q=0.9", "en"),
        ("zh-TW", "zh-CN"),
        ("fr, en;q=0.5, zh;q=0.9", "zh-CN"),
        ("de", "zh-CN"),
        ("en;q=0, zh;q=0.1", "zh-CN"),
        ("en;q=x,,;;", "en"),
    ],
)
def test_the_language_a_browser_asks_for(header: str, language: str) -> None:
    assert accepted(header) == language


@given(st.text(max_size=300))
def test_any_header_gives_a_language(header: str) -> None:
    assert accepted(header) in ("zh-CN", "en")


def test_times_are_beijing_by_default_and_say_so() -> None:
    assert view().clock(NOW) == "2026-11-23 16:00:00"
    assert view(zone="UTC").clock(NOW) == "2026-11-23 08:00:00"
    shown = str(view().when(NOW - 90_000))
    assert ">90 s ago<" in shown
    assert "2026-11-23 15:58:30 (Beijing time, UTC+8)" in shown
    assert 'datetime="2026-11-23T07:58:30.000+00:00"' in shown
    assert view("zh-CN").ago(NOW - 3 * 3_600_000) == "3 小时前"
    assert view().clock(datetime.datetime(2026, 11, 23, 0, 30, tzinfo=datetime.UTC), date=False) == "08:30:00"
    assert view().clock(0) == "—"


def test_numbers_and_sizes() -> None:
    v = view()
    assert (v.short(999), v.short(12_345), v.short(12_345_678)) == ("999", "12.3k", "12.3M")
    assert view("zh-CN").short(12_345) == "1.23 万"
    assert (v.octets(900), v.octets(5 * 2**20), v.rate(10**9)) == ("900 B", "5.0 MiB", "1 Gbit/s")
    assert (v.share(1, 3), v.share(0, 0)) == ("33%", "—")


def test_an_address_breaks_only_after_a_mark_and_is_escaped() -> None:
    assert str(view().ip("2001:db8::1")) == '<span class="ip">2001:<wbr>db8::<wbr>1</span>'
    assert str(view().ip("10.0.0.1")) == '<span class="ip">10.0.0.1</span>'
    assert "<script" not in view().ip("<script>:")


@pytest.mark.parametrize(
    ("top", "shown"), [(0, 1), (1, 1), (3, 3), (7, 8), (11, 20), (99, 100), (101, 200), (260, 300)]
)
def test_the_scale_of_a_chart_is_round(top: int, shown: int) -> None:
    assert nice(top) == shown


def test_a_histogram_draws_every_bar_and_tells_it_as_rows() -> None:
    bars = [Bar(NOW + i * 60_000, n) for i, n in enumerate((0, 3, 7))]
    drawn = histogram(view(), bars, "/events", 'a"b')
    assert (drawn.top, drawn.total) == (8, 10)
    assert drawn.rows == (("2026-11-23 16:01:00", 3), ("2026-11-23 16:02:00", 7))
    assert drawn.svg.count('class="bar"') == 3
    assert 'a"b' not in drawn.svg
    assert "style=" not in drawn.svg


def test_a_sliver_stays_visible() -> None:
    assert 'class="bad"' in segments([("good", 1_000_000), ("bad", 1)])
    assert "rect" not in segments([("good", 0)])
