"""The ten classes of incidents by GB/T 20986-2023, that a rule puts its alerts into (``tengwang: class:``)."""

from __future__ import annotations

from collections.abc import Mapping

from telemetry.verdict import Text

CLASSES: Mapping[str, Text] = {
    "malicious-program": Text("恶意程序", "Malicious program"),
    "network-attack": Text("网络攻击", "Network attack"),
    "data-security": Text("数据安全", "Data security"),
    "information-content": Text("信息内容安全", "Information content"),
    "facility-failure": Text("设备设施故障", "Equipment or facility failure"),
    "violation": Text("违规操作", "Violation"),
    "hidden-danger": Text("安全隐患", "Hidden danger"),
    "abnormal-behaviour": Text("异常行为", "Abnormal behaviour"),
    "force-majeure": Text("不可抗力", "Force majeure"),
    "other": Text("其他", "Other"),
}
