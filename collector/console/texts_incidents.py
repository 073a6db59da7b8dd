"""Texts of the rules and incident pages."""

from __future__ import annotations

from collections.abc import Mapping

ZH: Mapping[str, str] = {
    "Incidents": "安全事件",
    # --- rules
    "Rules": "规则",
    "what is looked for in every event, and what was found": "对每条事件检查什么、发现了什么",
    "Not in use": "未启用",
    "Each of these is left out alone; the others go on.": "仅有问题的规则被停用，其余规则照常运行。",
    "By class of incident": "按事件分类",
    "{n} rules": "{n} 条规则",
    "{n} alerts": "{n} 条告警",
    "24 hours": "24 小时",
    "7 days": "7 天",
    "Last hit": "最近命中",
    "No rule is in use": "没有启用的规则",
    "The rules that come with the program are off, and no folder of rules is configured.": "自带规则已关闭，且未配置规则目录。",
    "Over when": "何时算结束",
    "Alerts of this rule, 7 days": "本规则近 7 天告警",
    "The rule itself": "规则原文",
    "Show": "显示",
    "It has not hit in seven days.": "近七天未命中。",
    "References": "参考",
}
