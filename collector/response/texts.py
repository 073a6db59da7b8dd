"""The states of an order and their reasons in words, for console, phone page and messages."""

from __future__ import annotations

from collections.abc import Mapping

from collector.response.model import State
from telemetry.order import Scope
from telemetry.verdict import Text

STATES: Mapping[State, Text] = {
    State.PROPOSED: Text("待批准", "Waits for approval"),
    State.APPROVED: Text("已批准，等待探针领取", "Approved, the agent has not fetched it yet"),
    State.ORDERED: Text("探针已领取", "The agent has it"),
    State.APPLIED: Text("已实施，正在验证", "Applied, its effect is being measured"),
    State.EFFECTIVE: Text("有效（已验证）", "Effective (verified)"),
    State.APPLIED_NOT_EFFECTIVE: Text("已实施但无效", "Applied, not effective"),
    State.UNKNOWN: Text("效果未知", "Effect unknown"),
    State.REFUSED: Text("已拒绝", "Refused"),
    State.FAILED: Text("实施失败", "Failed"),
    State.EXPIRED: Text("过期未执行", "Expired, not carried out"),
    State.UNDOING: Text("正在撤销", "Being undone"),
    State.UNDONE: Text("已撤销（已验证）", "Undone (verified)"),
    State.UNDO_NOT_VERIFIED: Text("撤销未经验证", "Undo not verified"),
}
SCOPES: Mapping[Scope, Text] = {
    Scope.SEGMENT: Text("整个网段", "the whole segment"),
    Scope.ROUTED: Text("经过该路由器的流量", "what goes through that router"),
    Scope.HOST: Text("仅探针所在主机", "the agent's host only"),
}
WHYS: Mapping[str, Text] = {
    "measuring": Text("正在等待另一视角的测量", "another view is being waited for"),
    "goes_on": Text("其他探针仍测得该现象", "others still measure it"),
    "nothing_met": Text("规则尚未命中任何报文", "the rules have met no packet"),
    "no_second_view": Text("没有另一视角可以证实", "no other view can confirm it"),
    "agent_silent": Text("执行的探针没有再报告", "the acting agent has fallen silent"),
    "not_told": Text("探针领取后没有报告", "the agent has it and said nothing"),
    "agent_away": Text("探针在有效期内没有领取", "the agent did not come for it in time"),
    "too_late": Text("送达时已过期", "it came too late"),
    "protected": Text("目标受保护", "the target is protected"),
    "no_agent": Text("没有探针能执行", "no agent can do it"),
    "no_target": Text("事件中没有可作用的对象", "the incident names no target"),
    "withdrawn": Text("已要求撤销", "the undo was asked for"),
    "ended": Text("已到期", "its time is over"),
    "measured": Text("已复测", "measured again"),
    "this_host_only": Text("只保护探针所在主机", "only the agent's host is protected"),
    "by_agent": Text("探针本地策略拒绝", "the agent's own policy"),
    "not_allowed": Text("探针本地策略不允许", "the agent's local policy does not allow it"),
    "never": Text("目标在探针的保护名单中", "the agent is told never to touch the target"),
    "agent_stopped": Text("探针停止时撤销", "undone because the agent stopped"),
    "no_collector": Text("探针重启后联系不上采集器，已撤销", "undone: the agent restarted without its collector"),
    "not_there": Text("规则被人移除", "somebody took its rules away"),
}


def why_text(why: str) -> Text:
    """``protected: device x`` keeps what stands behind the word."""
    word, _, rest = why.partition(": ")
    known = WHYS.get(word, Text(word, word))
    return Text(f"{known.zh}：{rest}", f"{known.en}: {rest}") if rest else known
