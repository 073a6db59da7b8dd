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
    "superseded": Text("改由作用范围更大的探针执行", "another agent reaches farther"),
    "by_person": Text("由人员拒绝", "a person said no"),
    "incident_over": Text("事件已结束", "the incident is over"),
    "not_confirmed": Text("采集器已不再下达该指令", "the collector no longer asks for it"),
    "not_finished": Text("实施中断，已撤销", "it was not finished, and is undone"),
    "not_in_time": Text("未能在期限内实施", "it could not be done in time"),
    "forged": Text("签名不符", "it is not signed by the collector"),
    "replayed": Text("重放的旧指令", "an old order, replayed"),
    "too_long": Text("超出探针允许的时长", "longer than the agent allows"),
    "too_many": Text("探针上生效的动作已达上限", "too much is in force on the agent"),
    "bad_target": Text("对象无效", "its target is not one"),
    "no_place": Text("探针主机上没有可设规则的接口", "the agent's host has no interface to set rules on"),
    "no_nft": Text("探针主机未安装 nftables", "nftables is not installed on the agent's host"),
    "not_permitted": Text("探针缺少 CAP_NET_ADMIN 权限", "the agent lacks CAP_NET_ADMIN"),
    "not_supported": Text("探针主机内核不支持", "the kernel of the agent's host lacks it"),
    "no_ring": Text("探针没有保留报文", "the agent keeps no packets"),
    "no_packets": Text("探针没有该时段的相关报文", "the agent has no such packets"),
    "no_record": Text("探针无法记录谁提出了请求", "the agent can not put on record who asked"),
    "unknown_check": Text("探针没有该检查项", "the agent has no such check"),
    "no_subject": Text("探针上没有该检查对象", "the agent measures nothing of that name"),
    "internal": Text("探针程序出错", "the agent's program broke"),
    "other_agent": Text("指令不属于该探针", "it is meant for another agent"),
    "bad_order": Text("指令无法解读", "it can not be read as an order"),
    "nft": Text("nftables 拒绝该规则", "nftables refused the rule"),
    "too_slow": Text("检查未按时完成", "the check was not done in time"),
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
