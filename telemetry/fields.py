"""Every field an event may have: name, type, meaning, unit, label in zh and en. The only list.

Elasticsearch templates, the SQLite layout, validation at the edge and the field reference are made from it. Names are
ECS 8 where ECS has one; the rest is under ``tengwang.`` and uses the standard's own term (IF-MIB, RFC 4861 ...).
To add a field, add one row; ``SCHEMA`` then rises by one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

SCHEMA = 6
"""Version of this list. An older collector sets a newer agent's unknown fields apart instead of refusing the event."""


class Type(enum.StrEnum):
    KEYWORD = "keyword"
    TEXT = "text"
    LONG = "long"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    IP = "ip"
    DATE = "date"
    JSON = "json"


K, TEXT, LONG, DOUBLE, BOOL, IP, DATE, JSON = Type


class Field(msgspec.Struct, frozen=True):
    """One field. ``many``: a list of values is allowed. ``column``: often filtered by, so SQLite gives it a column."""

    name: str
    type: Type
    meaning: str
    zh: str
    en: str
    unit: str = ""
    many: bool = False
    column: bool = False


F = Field

# fmt: off
FIELDS: tuple[Field, ...] = (
    # --- base
    F("@timestamp", DATE, "When it happened, by the agent's clock", "时间", "Time", "ms", column=True), F("event.id", K, "agent id, epoch and sequence; the same for every delivery", "事件编号", "Event id", column=True),
    F("event.ingested", DATE, "When the collector received it", "入库时间", "Ingested", "ms"), F("event.kind", K, "event, state, metric or alert (ECS)", "种类", "Kind"),
    F("event.category", K, "ECS category", "类别", "Category", many=True), F("event.type", K, "ECS type", "类型", "Type", many=True),
    F("event.dataset", K, "Which source made it, e.g. tengwang.flow", "数据集", "Dataset", column=True), F("event.action", K, "What happened, within its dataset", "动作", "Action", column=True),
    F("event.outcome", K, "success, failure or unknown", "结果", "Outcome"), F("event.severity", LONG, "Severity of an alert: 1 informational to 5 critical", "严重度", "Severity"),
    F("event.reason", K, "Why, as a short stable word", "原因", "Reason"), F("event.start", DATE, "First packet or start of the period", "开始", "Start", "ms"),
    F("event.end", DATE, "Last packet or end of the period", "结束", "End", "ms"), F("event.duration", LONG, "Length of the period", "时长", "Duration", "ns"),
    F("message", TEXT, "One readable line", "说明", "Message"), F("tags", K, "Free labels", "标签", "Tags", many=True),
    # --- agent and delivery
    F("agent.id", K, "The agent's id, given at enrolment", "探针编号", "Agent id", column=True), F("agent.name", K, "The agent's name, by default its host name", "探针", "Agent"),
    F("agent.version", K, "The agent's program version", "探针版本", "Agent version"), F("tengwang.agent.epoch", LONG, "Epoch: one for each run of the agent program and priority, rising", "启动纪元", "Epoch", column=True),
    F("tengwang.agent.sequence", LONG, "Gap-free number within the epoch", "序号", "Sequence", column=True), F("tengwang.time.flag", K, "past or future: the event's own time is not believable", "时间异常", "Time flag"),
    F("tengwang.time.skew", LONG, "Agent clock less collector clock", "时钟偏差", "Clock skew", "ms"),
    F("tengwang.time.step", LONG, "How far the wall clock was set, against the monotonic clock", "时钟跳变", "Clock step", "ms"), F("tengwang.unknown_fields", JSON, "Fields of a newer agent that this collector does not know", "未识别字段", "Unknown fields"),
    F("tengwang.ledger.collected", LONG, "Events the agent's spool accepted, over all epochs (telemetry/ledger.py)", "已采集", "Collected"), F("tengwang.ledger.acked", LONG, "Events the collector confirmed as stored", "已入库", "Stored"),
    F("tengwang.ledger.spooled", LONG, "Events waiting on the agent's disk", "待发送", "Spooled"), F("tengwang.ledger.dropped", LONG, "Events dropped, all reasons", "已丢弃", "Dropped"),
    F("tengwang.ledger.detail", JSON, "The ledger of each live epoch (telemetry/ledger.py)", "分纪元账目", "Ledger by epoch"), F("tengwang.drop.epoch", LONG, "Epoch of the dropped range", "丢弃纪元", "Dropped epoch"),
    F("tengwang.drop.first", LONG, "First sequence of a dropped range", "丢弃起始", "Dropped from"), F("tengwang.drop.last", LONG, "Last sequence of a dropped range", "丢弃截止", "Dropped to"),
    F("tengwang.drop.count", LONG, "Events in the dropped range", "丢弃数量", "Dropped count"), F("tengwang.input.type", K, "Which input this is about", "采集项", "Input", many=True),
    F("tengwang.input.state", K, "on, off, blind or failing", "采集状态", "Input state"), F("tengwang.input.advice", TEXT, "The command or change that would help", "处理建议", "Advice"),
    F("tengwang.input.lost", LONG, "Lost before it could become an event (e.g. ring drops)", "采集丢失", "Lost at input"), F("process.uptime", LONG, "How long the program runs", "运行时长", "Uptime", "s"),
    F("process.memory.rss", LONG, "Resident memory of the program", "内存", "Memory", "byte"), F("process.cpu.pct", DOUBLE, "CPU of the program, 1.0 is one core", "处理器", "CPU"),
    # --- who it belongs to (enricher: inventory)
    F("tengwang.unit.id", K, "Unit that the event is about", "单位编号", "Unit id", column=True), F("tengwang.unit.name", K, "Name of the unit", "单位", "Unit"),
    F("tengwang.unit.level", K, "city, county, township or village", "层级", "Level"), F("tengwang.unit.path", K, "Ids from the root unit down to this one", "上级单位", "Unit path", many=True),
    F("tengwang.zone", K, "Network zone of the subject", "区域", "Zone", column=True), F("tengwang.asset.id", K, "Inventory id of the device or system", "资产编号", "Asset id"),
    F("tengwang.asset.name", K, "Name of the device or system", "资产", "Asset"), F("tengwang.asset.level", LONG, "MLPS (等保) level of the asset, 1 to 5", "等保级别", "MLPS level"),
    F("tengwang.asset.cii", BOOL, "Critical information infrastructure", "关基", "CII"), F("tengwang.owner.authority", K, "Person id: who is in charge (主管)", "主管责任人", "Authority"),
    F("tengwang.owner.operator", K, "Person id: who operates (运营)", "运营责任人", "Operator"), F("tengwang.owner.user", K, "Person id: who uses (使用)", "使用责任人", "User"),
    F("tengwang.source.unit", K, "Unit of source.ip", "源单位", "Source unit"), F("tengwang.source.zone", K, "Zone of source.ip", "源区域", "Source zone"),
    F("tengwang.destination.unit", K, "Unit of destination.ip", "目的单位", "Destination unit"), F("tengwang.destination.zone", K, "Zone of destination.ip", "目的区域", "Destination zone"),
    # --- host
    F("host.name", K, "Host the event is about", "主机", "Host", column=True), F("host.ip", IP, "Addresses of the host", "主机地址", "Host addresses", many=True),
    F("host.mac", K, "MAC addresses of the host", "主机MAC", "Host MACs", many=True), F("host.os.full", K, "Operating system", "操作系统", "OS"),
    F("host.os.kernel", K, "Kernel release", "内核", "Kernel"), F("host.architecture", K, "Machine type", "架构", "Architecture"),
    F("host.uptime", LONG, "Time since boot", "主机运行时长", "Uptime", "s"), F("host.cpu.usage", DOUBLE, "Share of CPU in use, 0 to 1", "处理器使用率", "CPU usage"),
    F("tengwang.host.load1", DOUBLE, "One-minute load", "负载", "Load"), F("tengwang.host.memory.total", LONG, "Memory", "内存总量", "Memory", "byte"),
    F("tengwang.host.memory.available", LONG, "Memory that is free for use", "可用内存", "Available memory", "byte"),
    F("tengwang.clock.synchronized", BOOL, "The kernel's clock is disciplined by NTP or PTP", "时钟已同步", "Clock synchronized"),
    F("tengwang.clock.max_error", LONG, "Greatest error of the clock by the kernel's own account", "时钟最大误差", "Clock error at most", "us"),
    # --- interface (names after IF-MIB, RFC 2863)
    F("tengwang.interface.index", LONG, "ifIndex", "接口索引", "ifIndex"), F("tengwang.interface.name", K, "ifName", "接口", "Interface"),
    F("tengwang.interface.descr", K, "ifDescr", "接口描述", "ifDescr"), F("tengwang.interface.alias", K, "ifAlias", "接口别名", "Alias"),
    F("tengwang.interface.type", K, "ifType or link type", "接口类型", "Interface type"), F("tengwang.interface.mac", K, "ifPhysAddress", "接口MAC", "Interface MAC"),
    F("tengwang.interface.mtu", LONG, "ifMtu", "MTU", "MTU", "byte"), F("tengwang.interface.speed", LONG, "Speed (ifHighSpeed in bits)", "速率", "Speed", "bit/s"),
    F("tengwang.interface.admin_status", K, "ifAdminStatus", "管理状态", "Admin status"), F("tengwang.interface.oper_status", K, "ifOperStatus", "运行状态", "Oper status"),
    F("tengwang.interface.counter_bits", LONG, "Width of the octet and packet counters, 64 or 32", "计数器位数", "Counter width", "bit"),
    F("tengwang.interface.in_octets", LONG, "ifHCInOctets", "入字节", "In octets", "byte"), F("tengwang.interface.out_octets", LONG, "ifHCOutOctets", "出字节", "Out octets", "byte"),
    F("tengwang.interface.in_packets", LONG, "All received packets", "入包", "In packets"), F("tengwang.interface.out_packets", LONG, "All sent packets", "出包", "Out packets"),
    F("tengwang.interface.in_errors", LONG, "ifInErrors", "入错误", "In errors"), F("tengwang.interface.out_errors", LONG, "ifOutErrors", "出错误", "Out errors"),
    F("tengwang.interface.in_discards", LONG, "ifInDiscards", "入丢弃", "In discards"), F("tengwang.interface.out_discards", LONG, "ifOutDiscards", "出丢弃", "Out discards"),
    # --- address, route, neighbour (IP-MIB, RFC 4293)
    F("tengwang.address.ip", IP, "ipAddressAddr", "地址", "Address"), F("tengwang.address.prefix_length", LONG, "Prefix length", "前缀长度", "Prefix length"),
    F("tengwang.address.scope", K, "global, link, host, site or unique-local", "地址范围", "Scope"), F("tengwang.address.status", K, "ipAddressStatus: preferred, deprecated, tentative, duplicate ...", "地址状态", "Address status"),
    F("tengwang.address.origin", K, "ipAddressOrigin: manual, dhcp, linklayer, random ...", "地址来源", "Origin"), F("tengwang.route.prefix", K, "Destination prefix", "路由前缀", "Route"),
    F("tengwang.route.next_hop", IP, "Next hop", "下一跳", "Next hop"), F("tengwang.route.protocol", K, "Who installed it", "路由来源", "Route protocol"),
    F("tengwang.route.metric", LONG, "Metric", "度量", "Metric"), F("tengwang.neighbor.ip", IP, "Neighbour's address", "邻居地址", "Neighbour"),
    F("tengwang.neighbor.mac", K, "Neighbour's link-layer address", "邻居MAC", "Neighbour MAC"), F("tengwang.neighbor.state", K, "ipNetToPhysicalState or NUD state", "邻居状态", "Neighbour state"),
    F("tengwang.neighbor.router", BOOL, "The neighbour says that it is a router", "是否路由器", "Is router"),
    # --- device over SNMP
    F("tengwang.device.id", K, "Inventory id of the device", "设备编号", "Device id", column=True), F("observer.name", K, "sysName or registered name of the device", "设备", "Device"),
    F("observer.ip", IP, "Address it was polled at", "设备地址", "Device address", many=True), F("observer.vendor", K, "Vendor, from sysObjectID", "厂商", "Vendor"),
    F("observer.os.full", TEXT, "sysDescr", "系统描述", "sysDescr"), F("tengwang.snmp.object_id", K, "sysObjectID", "sysObjectID", "sysObjectID"),
    F("tengwang.snmp.uptime", LONG, "sysUpTime", "运行时间", "sysUpTime", "s"), F("tengwang.snmp.contact", K, "sysContact", "联系人", "Contact"),
    F("tengwang.snmp.location", K, "sysLocation", "位置", "Location"), F("tengwang.snmp.version", K, "1, 2c or 3", "SNMP版本", "SNMP version"),
    F("tengwang.snmp.rtt", DOUBLE, "Time of the whole poll", "轮询耗时", "Poll time", "ms"), F("tengwang.snmp.forwarding", BOOL, "ipv6IpForwarding is forwarding(1)", "IPv6转发", "IPv6 forwarding"),
    F("tengwang.snmp.support", JSON, "Per table: ok, empty, unsupported, no_answer, or the fault that ended it", "支持情况", "Support"),
    # --- network and flow
    F("network.type", K, "ipv4, ipv6 or another", "网络类型", "Network type", column=True), F("network.transport", K, "tcp, udp, ipv6-icmp ...", "传输协议", "Transport"),
    F("network.iana_number", K, "IP protocol number", "协议号", "Protocol number"), F("network.protocol", K, "Application protocol", "应用协议", "Protocol"),
    F("network.direction", K, "ingress, egress, internal or unknown", "方向", "Direction"), F("network.vlan.id", K, "VLAN", "VLAN", "VLAN"),
    F("network.bytes", LONG, "Bytes, scaled by the sampling rate", "字节", "Bytes", "byte", column=True), F("network.packets", LONG, "Packets, scaled by the sampling rate", "包", "Packets", column=True),
    F("source.ip", IP, "Source address", "源地址", "Source", column=True), F("source.port", LONG, "Source port", "源端口", "Source port"),
    F("source.mac", K, "Source MAC", "源MAC", "Source MAC"), F("destination.ip", IP, "Destination address", "目的地址", "Destination", column=True),
    F("destination.port", LONG, "Destination port", "目的端口", "Destination port", column=True), F("destination.mac", K, "Destination MAC", "目的MAC", "Destination MAC"),
    F("tengwang.flow.sampling_rate", LONG, "One packet in N was taken", "采样率", "Sampling 1:N"), F("tengwang.flow.raw_bytes", LONG, "Bytes counted before scaling", "原始字节", "Raw bytes", "byte"),
    F("tengwang.flow.raw_packets", LONG, "Packets counted before scaling", "原始包", "Raw packets"), F("tengwang.flow.tcp_flags", LONG, "OR of all TCP flags", "TCP标志", "TCP flags"),
    F("tengwang.flow.label", LONG, "IPv6 flow label of the first packet", "流标签", "Flow label"), F("tengwang.flow.dscp", LONG, "DSCP of the first packet", "DSCP", "DSCP"),
    F("tengwang.flow.icmp_type", LONG, "ICMP or ICMPv6 type", "ICMP类型", "ICMP type"), F("tengwang.flow.icmp_code", LONG, "ICMP or ICMPv6 code", "ICMP代码", "ICMP code"),
    F("tengwang.segment.prefixes", K, "Prefixes of the interface's own global addresses: which segment was seen", "网段前缀", "Segment prefixes", many=True),
    # --- flow export received (agent/inputs/netflow, sflow)
    F("tengwang.flow.ingress", LONG, "ifIndex by which the exporter received it", "入接口索引", "Ingress ifIndex"), F("tengwang.flow.egress", LONG, "ifIndex by which the exporter sent it", "出接口索引", "Egress ifIndex"),
    F("tengwang.flow.sampling_source", K, "Where the rate is from: record, header, sampler, options, configuration; assumed: nobody said one", "采样率来源", "Rate from"),
    F("tengwang.exporter.protocol", K, "netflow5, netflow9, ipfix or sflow5", "导出协议", "Export protocol"), F("tengwang.exporter.domain", LONG, "Observation domain, source id, engine or sub-agent", "观测域", "Domain"),
    F("tengwang.exporter.device", K, "Inventory id of the device that exported a flow", "导出设备", "Exporter"), F("tengwang.exporter.agent", IP, "Address that an sFlow agent gives itself", "sFlow代理地址", "sFlow agent"),
    F("tengwang.exporter.datagrams", LONG, "Datagrams or messages in the period", "导出报文数", "Datagrams"), F("tengwang.exporter.records", LONG, "Flow records or samples in the period", "导出记录数", "Records"),
    F("tengwang.exporter.lost", LONG, "Missing by the exporter's sequence numbers", "导出丢失", "Lost on the way"), F("tengwang.exporter.lost_unit", K, "records or datagrams: what its sequence numbers count", "丢失单位", "Lost what"),
    F("tengwang.exporter.malformed", LONG, "Datagrams, sets or samples in the period that could not be read", "畸形数", "Malformed"), F("tengwang.exporter.waiting", LONG, "Sets that wait for their template", "等待模板", "Waiting"),
    F("tengwang.exporter.templates", LONG, "Templates known", "模板数", "Templates"), F("tengwang.exporter.uptime", LONG, "Uptime by the exporter's own account", "导出设备运行时长", "Exporter uptime", "s"),
    F("tengwang.exporter.skew", LONG, "Exporter's clock less the agent's", "导出设备时钟偏差", "Exporter clock skew", "ms"),
    # --- neighbour discovery (RFC 4861)
    F("tengwang.ndp.type", K, "router_advertisement, neighbor_solicitation, neighbor_advertisement, redirect ...", "ND类型", "ND type"), F("tengwang.ndp.hop_limit", LONG, "Hop limit of the packet; anything but 255 is forged", "跳数", "Hop limit"),
    F("tengwang.ndp.target", IP, "Target address", "目标地址", "Target"), F("tengwang.ndp.source_lladdr", K, "Source link-layer address option", "源链路地址", "Source lladdr"),
    F("tengwang.ndp.target_lladdr", K, "Target link-layer address option", "目标链路地址", "Target lladdr"), F("tengwang.ndp.router", BOOL, "NA flag R", "路由器标志", "Router flag"),
    F("tengwang.ndp.solicited", BOOL, "NA flag S", "请求标志", "Solicited flag"), F("tengwang.ndp.override", BOOL, "NA flag O", "覆盖标志", "Override flag"),
    F("tengwang.ndp.managed", BOOL, "RA flag M", "M标志", "Managed flag"), F("tengwang.ndp.other", BOOL, "RA flag O", "O标志", "Other flag"),
    F("tengwang.ndp.preference", K, "RA router preference (RFC 4191)", "路由器优先级", "Router preference"), F("tengwang.ndp.router_lifetime", LONG, "RA router lifetime", "路由器有效期", "Router lifetime", "s"),
    F("tengwang.ndp.mtu", LONG, "RA MTU option", "通告MTU", "RA MTU", "byte"), F("tengwang.ndp.prefixes", K, "RA prefixes", "通告前缀", "RA prefixes", many=True),
    F("tengwang.ndp.prefix_valid_lifetime", LONG, "Longest valid lifetime", "前缀有效期", "Valid lifetime", "s"), F("tengwang.ndp.rdnss", IP, "RA DNS servers (RFC 8106)", "通告DNS", "RDNSS", many=True),
    F("tengwang.ndp.registered", BOOL, "The inventory knows this router on this segment", "已登记路由器", "Registered router"), F("tengwang.ndp.fragmented", BOOL, "ND in a fragment, forbidden by RFC 6980", "分片ND", "Fragmented ND"),
    F("tengwang.ndp.count", LONG, "Identical messages that this event stands for", "合并数量", "Folded messages"), F("tengwang.ndp.extension_headers", K, "Extension headers before the ICMPv6 header, in order", "扩展头", "Extension headers", many=True),
    F("tengwang.ndp.malformed", BOOL, "Options are not as RFC 4861 wants; hosts drop such a message", "畸形ND", "Malformed ND"),
    F("tengwang.ndp.routes", K, "RA route information (RFC 4191)", "通告路由", "RA routes", many=True), F("tengwang.ndp.redirected", IP, "Redirect: the destination that is redirected", "重定向目的", "Redirected destination"),
    F("tengwang.ndp.former_mac", K, "MAC that had the address before, is registered for it, or asked for it", "原MAC", "Former MAC"), F("tengwang.ndp.messages", LONG, "Messages of one kind in the period, identical or not", "消息数", "Messages"),
    F("tengwang.ndp.targets", LONG, "Different target addresses in the period", "目标地址数", "Different targets"), F("tengwang.ndp.macs", LONG, "Different source MACs in the period", "源MAC数", "Different MACs"),
    F("tengwang.ndp.prefix_count", LONG, "Different RA prefixes in the period", "通告前缀数", "Different prefixes"),
    # --- readiness checks
    F("tengwang.check.id", K, "Name of the check", "检查项", "Check", column=True), F("tengwang.check.number", LONG, "Number of the check", "检查编号", "Check number"),
    F("tengwang.check.severity", K, "readiness or security", "检查性质", "Check kind"), F("tengwang.check.subject", K, "What was checked: domain, device, segment", "检查对象", "Subject"),
    F("tengwang.check.status", K, "pass, warn, fail or not_tested", "检查结果", "Status"), F("tengwang.check.title.zh", K, "Title in Chinese", "检查名称", "Title (zh)"),
    F("tengwang.check.title.en", K, "Title in English", "检查名称(英)", "Title (en)"), F("tengwang.check.summary.zh", TEXT, "What was found, in Chinese", "检查结论", "Summary (zh)"),
    F("tengwang.check.summary.en", TEXT, "What was found, in English", "检查结论(英)", "Summary (en)"), F("tengwang.check.advice.zh", TEXT, "What to do, in Chinese", "整改建议", "Advice (zh)"),
    F("tengwang.check.advice.en", TEXT, "What to do, in English", "整改建议(英)", "Advice (en)"), F("tengwang.check.evidence", JSON, "The measurements behind the verdict", "证据", "Evidence"),
    # --- alerts
    F("rule.id", K, "Id of the rule that hit", "规则编号", "Rule id"), F("rule.name", K, "English title of the rule", "规则", "Rule"),
    F("tengwang.rule.name.zh", K, "Chinese title of the rule", "规则(中)", "Rule (zh)"), F("rule.level", K, "informational, low, medium, high or critical", "规则级别", "Rule level"),
    F("rule.category", K, "GB/T 20986 class", "事件分类", "Class"), F("tengwang.alert.event_ids", K, "Events that raised the alert", "触发事件", "Events", many=True),
    F("tengwang.alert.evidence", JSON, "The event that raised the alert, whole", "告警证据", "Evidence"),
    # --- hits and correlation (collector/detect)
    F("tengwang.collector.id", K, "The collector that made the record", "采集中心", "Collector"), F("tengwang.hit.role", K, "base, proof, seen or beat: what the hit is for", "命中作用", "Role of the hit"),
    F("tengwang.hit.rule", K, "Id of the correlation, or of the rule whose end it proves", "所属规则", "For rule"), F("tengwang.hit.group", K, "Values of group-by, as one text", "分组", "Group"),
    F("tengwang.hit.value", K, "The value that is counted, added up or looked out for", "取值", "Value"), F("tengwang.alert.key", K, "What the alert is about: alerts with one key are one incident", "归并键", "Incident key"),
    F("tengwang.alert.count", LONG, "Events behind a correlated alert", "关联事件数", "Correlated events"),
    # --- incidents (collector/incidents)
    F("tengwang.incident.id", K, "Incident", "事件编号", "Incident"), F("tengwang.incident.state", K, "found, notified, acknowledged, handling, verifying, closed or false_positive", "处置状态", "State"),
    F("tengwang.incident.revision", LONG, "Number of the change", "修订号", "Revision"), F("tengwang.incident.action", K, "What was done to it", "处置动作", "Action taken"),
    F("tengwang.incident.count", LONG, "Alerts in it", "告警数", "Alerts"), F("tengwang.incident.found", DATE, "First alert", "发现时间", "Found", "ms"),
    F("tengwang.incident.mttd", LONG, "From the first event to the first alert's arrival", "发现用时", "Time to detect", "ms"), F("tengwang.incident.mtta", LONG, "From found to acknowledged", "签收用时", "Time to acknowledge", "ms"),
    F("tengwang.incident.mttc", LONG, "From found to contained and verified", "遏制用时", "Time to contain", "ms"), F("tengwang.incident.mttr", LONG, "From found to closed", "闭环用时", "Time to close", "ms"),
    F("tengwang.incident.grade", K, "Grade that a person confirmed: general, relatively_major, major, particularly_major", "事件分级", "Grade"), F("tengwang.incident.document", JSON, "The incident as it is after the change", "事件全文", "Whole incident"),
    # --- response (collector/response, agent/actions)
    F("tengwang.order.id", K, "Order that an agent was given", "指令编号", "Order"), F("tengwang.order.action", K, "block_source, block_destination, rate_limit, drop_rogue_ra, recheck, evidence", "指令动作", "Ordered action"),
    F("tengwang.order.state", K, "applied, refused, failed, undone, expired", "指令状态", "Order state"), F("tengwang.order.packets", LONG, "Packets that the action's own rules met", "命中包数", "Packets met"),
    F("tengwang.order.bytes", LONG, "Bytes that the action's own rules met", "命中字节", "Bytes met", "byte"), F("tengwang.order.target", K, "What it is directed at: a MAC, an address", "处置对象", "Target"),
    F("tengwang.evidence.part", LONG, "Number of this part, from 1", "证据分片", "Evidence part"), F("tengwang.evidence.parts", LONG, "Parts of the whole", "证据分片数", "Evidence parts"),
    F("tengwang.evidence.data", JSON, "A part of a pcapng that was compressed by zstd, in base64", "证据报文", "Evidence packets"),
    F("tengwang.order.expires", DATE, "When the agent undoes it by itself", "到期时间", "Expires", "ms"),
    F("tengwang.order.allowed", K, "Actions that this agent's local policy allows", "允许的动作", "Allowed actions", many=True), F("tengwang.order.scope", K, "Whom the agent's rules can protect: segment, routed or host", "作用范围", "Reach"),
    # --- who is on the segment (agent/inputs/terminals)
    F("tengwang.terminal.mac", K, "MAC of a terminal on the segment", "终端MAC", "Terminal MAC"), F("tengwang.terminal.ip", IP, "Addresses that the terminal uses", "终端地址", "Terminal addresses", many=True),
    F("tengwang.terminal.registered", BOOL, "The inventory knows this MAC or address on this segment", "已登记终端", "Registered terminal"), F("tengwang.terminal.vendor", K, "Vendor by the MAC's OUI; random for a locally administered one", "终端厂商", "Terminal vendor"),
    F("tengwang.terminal.name", K, "Name that the terminal gives itself", "终端名称", "Terminal name"),
    # --- ARP and address conflicts (RFC 826, 5227)
    F("tengwang.arp.operation", K, "request, reply, probe, announcement", "ARP操作", "ARP operation"), F("tengwang.arp.former_mac", K, "MAC that had the address before", "原MAC", "Former MAC"),
    F("tengwang.arp.count", LONG, "Messages that this event stands for", "消息数", "Messages"), F("tengwang.arp.addresses", LONG, "Different addresses claimed or asked for in the period", "地址数", "Different addresses"),
    # --- DHCP and DHCPv6 (RFC 2131, 8415)
    F("tengwang.dhcp.type", K, "Message type: offer, ack, advertise, reply ...", "DHCP消息", "DHCP message"), F("tengwang.dhcp.server", IP, "Server's address", "DHCP服务器", "DHCP server"),
    F("tengwang.dhcp.server_id", K, "Server identifier: address or DUID", "服务器标识", "Server id"), F("tengwang.dhcp.registered", BOOL, "The inventory knows this server on this segment", "已登记服务器", "Registered server"),
    F("tengwang.dhcp.address", IP, "Addresses offered", "分配地址", "Offered addresses", many=True), F("tengwang.dhcp.dns", IP, "DNS servers offered", "下发DNS", "Offered DNS", many=True),
    F("tengwang.dhcp.gateway", IP, "Routers offered", "下发网关", "Offered routers", many=True), F("tengwang.dhcp.client", K, "Client's MAC or DUID", "DHCP客户端", "DHCP client"),
    F("tengwang.dhcp.count", LONG, "Messages that this event stands for", "合并数量", "Folded messages"),
    F("tengwang.dhcp.clients", LONG, "Different clients that asked in the period", "客户端数", "Different clients"),
    # --- DNS seen on the wire
    F("dns.question.name", K, "Name asked for, bounded", "查询名", "Question"), F("dns.question.registered_domain", K, "Registered domain of the name", "注册域", "Registered domain"),
    F("dns.question.type", K, "Type asked for", "查询类型", "Question type"), F("dns.response_code", K, "RCODE", "响应码", "Response code"),
    F("dns.answers.ttl", LONG, "Smallest TTL", "TTL", "TTL", "s"), F("tengwang.dns.answers", K, "Answers, bounded", "应答", "Answers", many=True),
    F("tengwang.dns.latency", DOUBLE, "From question to answer", "时延", "Latency", "ms"), F("tengwang.dns.queries", LONG, "Questions in the period", "查询数", "Questions"),
    F("tengwang.dns.names", LONG, "Different names in the period", "域名数", "Different names"), F("tengwang.dns.nxdomain", LONG, "NXDOMAIN answers in the period", "NXDOMAIN数", "NXDOMAIN"),
    F("tengwang.dns.servfail", LONG, "SERVFAIL answers in the period", "SERVFAIL数", "SERVFAIL"), F("tengwang.dns.label_length", DOUBLE, "Mean length of the part below the registered domain", "子域平均长度", "Mean label length"),
    F("tengwang.dns.entropy", DOUBLE, "Shannon entropy of the part below the registered domain", "子域熵", "Label entropy", "bit/char"), F("tengwang.dns.bytes", LONG, "DNS payload bytes in the period", "DNS字节", "DNS bytes", "byte"),
    F("tengwang.dns.malformed", LONG, "Packets on port 53 in the period that are no DNS", "非DNS包数", "No DNS"),
    # --- what one source does (agent/inputs/sources: scans, floods, log-in attempts)
    F("tengwang.source.activity.targets", LONG, "Different destination addresses in the period", "目的地址数", "Targets"), F("tengwang.source.activity.ports", LONG, "Different destination ports in the period", "目的端口数", "Ports"),
    F("tengwang.source.activity.syn", LONG, "TCP connection attempts in the period", "连接尝试数", "Attempts"), F("tengwang.source.activity.refused", LONG, "Attempts answered by RST in the period", "被拒连接数", "Refused attempts"),
    F("tengwang.source.activity.sources", LONG, "Different source addresses towards one destination", "源地址数", "Sources"),
    F("tengwang.source.activity.echo", LONG, "Echo requests (ping) in the period", "回显请求数", "Echo requests"),
    # --- posture (collector/posture)
    F("tengwang.posture.scope", K, "unit, branch (the unit and all below it), zone, level or all", "评价范围", "Scope"), F("tengwang.posture.subject", K, "Which unit, zone or level", "评价对象", "Subject"),
    F("tengwang.posture.score", DOUBLE, "0 to 100", "得分", "Score"), F("tengwang.posture.state", K, "known, partly or blind", "可见性", "Sight"),
    F("tengwang.posture.colour", K, "blue, yellow, orange, red, or none", "预警颜色", "Warning colour"), F("tengwang.posture.indicator", K, "Indicator", "指标", "Indicator"),
    F("tengwang.posture.value", DOUBLE, "Value of the indicator", "指标值", "Indicator value"), F("tengwang.posture.deduction", DOUBLE, "Points taken off", "扣分", "Deduction"),
    F("tengwang.posture.detail", JSON, "Deductions with their evidence", "扣分明细", "Deductions"),
    # --- set aside and audit
    F("tengwang.aside.reason", K, "Why it was set aside", "隔离原因", "Reason"), F("tengwang.aside.detail", TEXT, "What exactly was wrong", "隔离说明", "Detail"),
    F("tengwang.aside.raw", JSON, "What was set aside, cut to a bound", "原始数据", "Raw"), F("user.name", K, "Who acted", "用户", "User"),
    F("user.roles", K, "Roles of the user", "角色", "Roles", many=True), F("client.ip", IP, "Where the request came from", "客户端", "Client"),
    F("http.request.method", K, "HTTP method", "方法", "Method"), F("url.path", K, "Path of the request", "路径", "Path"),
)
# fmt: on

BY_NAME: Mapping[str, Field] = {field.name: field for field in FIELDS}
