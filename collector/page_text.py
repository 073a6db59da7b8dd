"""What a page says: short enough for a telephone, in the person's language, times in Beijing time, the link last.

70 characters of UCS-2 are one short message, 134 are two; what is longer is cut in the title, never in the link.
"""

from __future__ import annotations

import datetime

from collector.incidents.model import Incident
from collector.page import Why
from telemetry.clock import EPOCH
from telemetry.verdict import Text

BEIJING = datetime.timezone(datetime.timedelta(hours=8))
TWO_PARTS = 134
MAX_NOTE = 24
LEVELS = {
    "critical": ("严重", "CRITICAL"),
    "high": ("高", "HIGH"),
    "medium": ("中", "MEDIUM"),
    "low": ("低", "LOW"),
    "informational": ("提示", "INFO"),
}
REASONS = {
    Why.ESCALATION: ("", ""),
    Why.HANDED_OVER: ("移交给您：", "handed to you: "),
    Why.ACTION: ("处置未生效：", "action not effective: "),
    Why.CLOCK: ("报告时限：", "report due: "),
    Why.COVERAGE: ("失去监测：", "sight lost: "),
    Why.NOTICE: ("", ""),
}


WITH_NOTE = {Why.ACTION: ("处置", "action"), Why.CLOCK: ("报告时限", "report due")}


def subject_and_text(
    incident: Incident, why: Why, language: str, link: str, unit_en: str = "", note: Text | None = None
) -> tuple[str, str]:
    """The subject of a mail, and the whole text for any channel. ``note`` says what it is about more closely: how an
    action stands, which report is due."""
    zh = language != "en"
    unit = incident.unit_name or incident.unit
    if not zh:
        unit = unit_en or unit
    title = (incident.title.zh or incident.title.en) if zh else (incident.title.en or incident.title.zh)
    level = LEVELS.get(incident.level, LEVELS["medium"])[0 if zh else 1]
    again = (" 再次出现" if zh else " again") if incident.reopened else ""
    times = f"×{incident.count}" if incident.count > 1 else ""
    head = f"【滕网】{level} " if zh else f"[Tengwang] {level} "
    reason = REASONS[why][0 if zh else 1]
    if note is not None and why in WITH_NOTE:
        said = _cut((note.zh or note.en) if zh else (note.en or note.zh), MAX_NOTE)
        reason = f"{WITH_NOTE[why][0]}“{said}”：" if zh else f"{WITH_NOTE[why][1]} ({said}): "
    tail = f"{again}{times} {_when(incident.first_ms)}"
    place = f"{unit}：" if zh and unit else f"{unit}: " if unit else ""
    room = TWO_PARTS - _units(head + reason + place + tail) - (_units(link) + 1 if link else 0)
    if room < 12:  # a long name of a unit: the title matters more
        place = _cut(place, max(0, _units(place) + room - 24))
        room = max(TWO_PARTS - _units(head + reason + place + tail) - (_units(link) + 1 if link else 0), 12)
    body = f"{head}{reason}{place}{_cut(title, room)}{tail}"
    return f"{head}{reason}{place}{title}"[:200], f"{body}\n{link}" if link else body


def _when(at_ms: int) -> str:
    return f"{(EPOCH + datetime.timedelta(milliseconds=at_ms)).astimezone(BEIJING):%m-%d %H:%M}"


def _units(text: str) -> int:
    """UTF-16 units, as short messages count."""
    return len(text.encode("utf-16-le", "replace")) // 2


def _cut(text: str, room: int) -> str:
    text = " ".join(text.split())
    if _units(text) <= room:
        return text
    while text and _units(text) > max(room - 1, 0):
        text = text[:-1]
    return text + "…" if text else ""
