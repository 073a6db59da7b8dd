"""The draft of the report that a regulation asks for: what is known, in the order of article 7(1), and what is not.

Nothing is guessed. What the platform can not know (harm, cause, what is planned) is marked, for a person to fill in;
article 7(2) allows to report items 1 and 2 first. The text is plain, so that it can be taken into any form.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from collector.detect.classes import CLASSES
from collector.incidents.clocks import Countdown, Phase
from collector.incidents.evidence import Evidence
from collector.incidents.facts import RuleFacts
from collector.incidents.model import Entry, Grade, Incident, State
from collector.inventory import Device, System
from collector.inventory_index import Indexed
from telemetry.clock import EPOCH
from telemetry.verdict import Text

Language = Literal["zh-CN", "en"]
CHINA = datetime.timezone(datetime.timedelta(hours=8))
UNKNOWN = Text("【待补充】", "[to be filled in]")
GRADES: Mapping[Grade, Text] = {
    Grade.GENERAL: Text("一般", "general"),
    Grade.RELATIVELY_MAJOR: Text("较大", "relatively major"),
    Grade.MAJOR: Text("重大", "major"),
    Grade.PARTICULARLY_MAJOR: Text("特别重大", "particularly major"),
}
STATES: Mapping[State, Text] = {
    State.FOUND: Text("已发现，未通报", "found, nobody told yet"),
    State.NOTIFIED: Text("已通报，未签收", "people told, not acknowledged"),
    State.ACKNOWLEDGED: Text("已签收", "acknowledged"),
    State.HANDLING: Text("处置中", "being handled"),
    State.VERIFYING: Text("复核中：复测已达标", "being verified: measured to be over"),
    State.CLOSED: Text("已归档", "closed"),
    State.FALSE_POSITIVE: Text("误报", "false positive"),
}
DONE = ("order", "contained", "state", "acknowledged", "verified", "handed_over")
MAX_LINES = 40


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """All that a draft is made from."""

    incident: Incident
    entries: Sequence[Entry]
    evidence: Evidence
    inventory: Indexed
    rule: RuleFacts | None
    clocks: Sequence[Countdown]
    now_ms: int


def draft(sources: Sources, language: Language) -> str:
    """The report as text, for a person to complete and sign."""
    writer = _Writer(sources, language)
    return writer.text()


class _Writer:
    def __init__(self, sources: Sources, language: Language) -> None:
        self._s = sources
        self._i = sources.incident
        self._zh = language == "zh-CN"
        self._lines: list[str] = []

    def text(self) -> str:
        i = self._i
        self._say(self._t("网络安全事件报告（草稿）", "Report of a cybersecurity incident (draft)"))
        self._say(self._t(f"事件编号：{i.id}", f"Incident: {i.id}"))
        self._say(self._t(f"生成时间：{self._at(self._s.now_ms)}", f"Made: {self._at(self._s.now_ms)}"))
        for one in self._s.clocks:
            if one.due_ms and one.phase is not Phase.DONE and one.ours:
                self._say(
                    self._t(
                        f"报送时限：{self._at(one.due_ms)} 前报{one.to.zh}（{one.regulation.zh}第{one.article}条）",
                        f"Due: to {one.to.en} by {self._at(one.due_ms)} ({one.regulation.en}, article {one.article})",
                    )
                )
        self._one()
        self._two()
        self._head(3, "发展趋势及可能造成的进一步影响", "Trend and further harm that is possible")
        self._fact("现状", "At present", self._either(STATES[i.state]))
        self._fact("最近一次告警", "Newest alert", self._at(i.last_ms))
        self._fact("可能的进一步影响", "Further harm that is possible", "")
        self._head(4, "初步原因", "Preliminary cause")
        self._fact(
            "检测规则说明", "What the rule looks for", self._either(self._s.rule.description) if self._s.rule else ""
        )
        self._fact("原因", "Cause", "")
        self._five()
        self._head(6, "拟进一步采取的措施和需要的支持", "Further measures and help asked for")
        self._fact("处置建议", "Advice of the rule", self._either(self._s.rule.action) if self._s.rule else "")
        self._fact("需要的支持", "Help asked for", "")
        self._seven()
        self._head(8, "其他情况", "Other matters")
        notes = [e for e in self._s.entries if e.action == "note"]
        for entry in notes[-MAX_LINES:]:
            self._say(f"  - {self._at(entry.at_ms)} {self._person(entry.by)}: {entry.note}")
        if not notes:
            self._say("  " + self._either(UNKNOWN))
        return "\n".join(self._lines) + "\n"

    def _one(self) -> None:
        i, index = self._i, self._s.inventory
        self._head(1, "单位名称及涉事系统、设施基本情况", "The unit, and the system or facility")
        path = [unit.name for name in index.path(i.unit) if (unit := index.unit(name)) is not None]
        self._fact("单位", "Unit", " / ".join(path) or i.unit_name)
        asset = self._asset()
        if asset is None:
            self._fact("系统或设施", "System or facility", "")
        else:
            kind = self._t("网络设备", "network device") if isinstance(asset, Device) else self._t("信息系统", "system")
            self._fact("系统或设施", "System or facility", f"{asset.name} ({asset.id}, {kind})")
            self._fact("等保级别", "Level by GB/T 22240", str(asset.level or ""))
            where = ", ".join(asset.domains) if isinstance(asset, System) else asset.address
            self._fact("域名或地址", "Domains or address", where)
        cii = self._t("是", "yes") if i.cii else self._t("否（按资产清单）", "no, by the inventory")
        self._fact("关键信息基础设施", "Critical information infrastructure", cii)
        self._fact("责任人", "Responsible", ", ".join(self._person(p, phone=True) for p in i.owners))

    def _two(self) -> None:
        i = self._i
        self._head(2, "发现时间、地点、类型、级别、影响和已采取措施", "When, where, what, how grave, and what was done")
        self._fact("最早事件时间", "First event", self._at(i.first_ms))
        self._fact("发现时间", "Found", self._at(i.found_ms))
        zone = self._s.inventory.zone(i.zone)
        self._fact("地点", "Where", ", ".join(filter(None, (i.unit_name, zone.name if zone else i.zone))))
        known = CLASSES.get(i.category)
        self._fact("类型", "Class", self._either(known) if known else i.category)
        self._fact("名称", "What", self._either(i.title))
        self._fact("级别", "Grade", self._either(GRADES[i.grade]) if i.grade else "")
        self._fact("告警数", "Alerts", str(i.count))
        self._fact("已造成的影响和危害", "Impact and harm so far", "")
        self._fact("勒索金额、方式和日期（如属勒索攻击）", "Ransom: amount, way and date (where it is one)", "")
        self._say("  " + self._t("已采取的措施和效果：", "What was done, and its effect:"))
        done = [e for e in self._s.entries if e.action in DONE]
        for entry in done[-MAX_LINES:]:
            to = str(entry.data.get("to") or entry.data.get("result") or entry.data.get("state") or "")
            said = " ".join(filter(None, (entry.action, to, entry.note)))
            self._say(f"  - {self._at(entry.at_ms)} {self._person(entry.by)}: {said}")
        if not done:
            self._say("  - " + self._either(UNKNOWN))

    def _five(self) -> None:
        subject = self._i.subject
        self._head(5, "溯源线索", "Clues")
        self._fact("源地址", "Source address", subject.source_ip)
        self._fact("源 MAC", "Source MAC", subject.source_mac)
        self._fact("目的地址", "Destination address", subject.destination_ip)
        self._fact("接口", "Interface", " ".join(filter(None, (subject.device, subject.interface))))
        self._fact("发现的探针", "Seen by agent", ", ".join(self._i.agents))
        self._fact("攻击路径、漏洞", "Path and vulnerabilities", "")

    def _seven(self) -> None:
        held = self._s.evidence
        self._head(7, "现场保护情况", "How the scene is preserved")
        self._fact("已保存的告警", "Alerts that are kept", ", ".join(a.id for a in held.alerts[:MAX_LINES]))
        self._fact("已保存的原始事件", "Events that are kept", ", ".join(e.id for e in held.events[:MAX_LINES]))
        if held.missing:
            self._fact("已过保存期", "No longer kept", str(len(held.missing)))
        self._fact("其他现场保护", "Other", "")

    def _asset(self) -> Device | System | None:
        index, subject = self._s.inventory, self._i.subject
        for name in (subject.asset, subject.device, subject.check_subject):
            if name and (found := index.device(name) or index.system(name) or index.system_of_domain(name)):
                return found
        return None

    def _head(self, number: int, zh: str, en: str) -> None:
        self._say("")
        self._say(f"{number}. {self._t(zh, en)}")

    def _fact(self, zh: str, en: str, value: str) -> None:
        """What is not known is marked, never left out."""
        self._say(f"  {self._t(zh + '：', en + ': ')}{value or self._either(UNKNOWN)}")

    def _person(self, name: str, phone: bool = False) -> str:
        person = self._s.inventory.person(name)
        if person is None:
            return self._t("系统", "the system") if name == "system" else name
        return f"{person.name} {person.phone}".strip() if phone else person.name

    def _at(self, ms: int) -> str:
        """China has one time of day."""
        moment = (EPOCH + datetime.timedelta(milliseconds=ms)).astimezone(CHINA)
        return moment.strftime("%Y-%m-%d %H:%M:%S +08:00") if ms else ""

    def _either(self, text: Text) -> str:
        return text.zh if self._zh else text.en

    def _t(self, zh: str, en: str) -> str:
        return zh if self._zh else en

    def _say(self, line: str) -> None:
        self._lines.append(line)
