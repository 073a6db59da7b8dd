"""What a page says: short, whole where it matters, in the reader's language."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector.incidents.model import Incident
from collector.page import Why
from collector.page_text import TWO_PARTS, subject_and_text
from telemetry.clock import parse_iso
from telemetry.verdict import Text

LINK = "https://soc.example.gov.cn/h/ABCDEFGHIJKLMNOPQRSTUVWX"
INCIDENT = Incident(
    id="a" * 24,
    key="k",
    rule="r",
    title=Text("未登记的路由器通告", "Router advertisement from an unregistered router"),
    category="",
    level="high",
    unit="bureau",
    unit_name="示例局",
    first_ms=parse_iso("2026-11-26T08:30:00Z"),
    found_ms=0,
    last_ms=0,
    count=1,
)


def say(language: str, why: Why = Why.ESCALATION, **changes: object) -> tuple[str, str]:
    return subject_and_text(msgspec.structs.replace(INCIDENT, **changes), why, language, LINK, "Example Bureau")


def test_in_chinese_with_the_time_in_beijing() -> None:
    assert say("zh-CN") == (
        "【滕网】高 示例局：未登记的路由器通告",
        f"【滕网】高 示例局：未登记的路由器通告 11-26 16:30\n{LINK}",
    )


def test_in_english() -> None:
    assert say("en")[1] == (f"[Tengwang] HIGH Example Bureau: Router advertisement from an unregi… 11-26 16:30\n{LINK}")


def test_without_the_link_it_is_one_short_message() -> None:
    text = subject_and_text(INCIDENT, Why.ESCALATION, "zh-CN", "")[1]
    assert len(text) <= 70


def test_what_it_is_about_comes_first() -> None:
    assert "处置未生效：示例局" in say("zh-CN", Why.ACTION)[1]
    assert "handed to you: Example" in say("en", Why.HANDED_OVER)[1]
    assert "再次出现×37 " in say("zh-CN", count=37, reopened=1)[1]


@given(
    st.text(max_size=300),
    st.text(max_size=200),
    st.sampled_from(("zh-CN", "en")),
    st.sampled_from(Why),
    st.integers(0, 10**6),
    st.none() | st.builds(Text, st.text(max_size=80), st.text(max_size=80)),
)
def test_it_fits_two_short_messages_and_the_link_is_whole(
    title: str, unit: str, language: str, why: Why, count: int, note: Text | None
) -> None:
    incident = msgspec.structs.replace(INCIDENT, title=Text(title, ""), unit_name=unit, unit="", count=count)
    subject, text = subject_and_text(incident, why, language, LINK, unit, note)
    assert text.endswith("\n" + LINK)
    assert len(text.encode("utf-16-le", "replace")) // 2 <= TWO_PARTS + 12
    assert len(subject) <= 200
