"""Every number that the programs expose: name, kind, labels, meaning. The metrics reference is made from it.

A test holds the names that the code counts against this list, so a number without a meaning can not appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from telemetry.report import Report, Series

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(msgspec.Struct, frozen=True):
    """``labels`` are bounded sets of the program's own words, never text from outside."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


C, G, M = "counter", "gauge", Metric

# fmt: off
OF_COLLECTOR: tuple[Metric, ...] = (
    # --- the way in
    M("tengwang_events_received_total", C, "Events acknowledged as stored"),
    M("tengwang_events_set_aside_total", C, "Records set aside", ("reason",)),
    M("tengwang_events_time_flagged_total", C, "Events whose own time is not believable", ("flag",)),
    M("tengwang_unknown_fields_total", C, "Fields of newer agents, kept apart"),
    M("tengwang_records_duplicate_total", C, "Records that were stored already"),
    M("tengwang_batches_stored_total", C, "Batches acknowledged"),
    M("tengwang_batches_refused_total", C, "Batches that could not be read", ("reason",)),
    M("tengwang_bodies_not_kept_total", C, "Unreadable bodies beyond what is kept aside"),
    M("tengwang_requests_refused_total", C, "Requests of agents that were refused", ("reason",)),
    M("tengwang_request_errors_total", C, "Errors of the agents' listener that should not be"),
    M("tengwang_refused_total", C, "Outsiders refused: certificates, tokens, other agents' ids", ("reason",)),
    M("tengwang_handshakes_failed_total", C, "TLS handshakes of agents that failed"),
    M("tengwang_enrolments_total", C, "Agents enrolled"),
    M("tengwang_pipeline_errors_total", C, "Errors of the pipeline that should not be"),
    M("tengwang_judge_errors_total", C, "Events that an enricher or rule failed on"),
    M("tengwang_ledger_unreadable_total", C, "Ledger statements of agents that could not be read"),
    M("tengwang_audit_lost_total", C, "Audit records that could not be stored"),
    M("tengwang_queue_bytes", G, "Compressed batches waiting for the store"),
    M("tengwang_connections", G, "Open connections of agents"),
    M("tengwang_job_errors_total", C, "Failed runs of periodic work", ("job",)),
    # --- store
    M("tengwang_store_writable", G, "1 while the store takes events"),
    M("tengwang_store_outages_total", C, "Times that the store stopped to take events"),
    M("tengwang_store_records", G, "Records in the store"),
    M("tengwang_store_bytes", G, "Size of the store in bytes"),
    M("tengwang_store_partitions_dropped_total", C, "Partitions older than the retention, dropped"),
    M("tengwang_store_damaged_total", C, "Damaged partitions found"),
    # --- judgement
    M("tengwang_alerts_total", C, "Alerts raised", ("level",)),
    M("tengwang_hits_total", C, "Hits kept for correlations, first sightings, heartbeats and proofs", ("role",)),
    M("tengwang_correlation_evicted_total", C, "Hits, groups and values that correlation forgot for want of room"),
    M("tengwang_rules", G, "Rules by state: active, idle, refused", ("state",)),
    M("tengwang_rules_load_seconds", G, "Time of the last load of the rules"),
    M("tengwang_inventory_problems", G, "Problems of the newest inventory files"),
    M("tengwang_inventory_entries", G, "Entries of the inventory in use", ("section",)),
    # --- incidents and the leader's loop
    M("tengwang_operations_leading", G, "1 while this collector leads"),
    M("tengwang_operations_terms_total", C, "Times that this collector began to lead"),
    M("tengwang_operations_seconds", G, "Time of the last step of each part", ("part",)),
    M("tengwang_operations_errors_total", C, "Steps that failed; what was new is given again", ("part",)),
    M("tengwang_operations_overflows_total", C, "Times that the feed overflowed and was read from the store"),
    M("tengwang_incidents_total", C, "Incidents found", ("level",)),
    M("tengwang_incidents_reopened_total", C, "Incidents that were over and were seen again"),
    M("tengwang_incidents_closed_total", C, "Incidents closed by the leader", ("by",)),
    M("tengwang_incident_storms_total", C, "Keys put into one incident because too many came at once"),
    M("tengwang_incident_conflicts_total", C, "Changes made again because somebody else was first"),
    M("tengwang_incident_records_late_total", C, "Records of changes that had to be written later"),
    M("tengwang_alerts_not_grouped_total", C, "Alerts that no incident could be made of"),
    # --- agents and their ledgers
    M("tengwang_agents", G, "Enrolled agents by state: active, silent, revoked", ("state",)),
    M("tengwang_ledger_collected", G, "Events that agents collected"),
    M("tengwang_ledger_stored", G, "Of those, stored"),
    M("tengwang_ledger_spooled", G, "Of those, waiting on agents' disks"),
    M("tengwang_ledger_dropped", G, "Of those, dropped", ("reason",)),
    M("tengwang_ledger_missing", G, "Of those, accounted for by nobody"),
    # --- response
    M("tengwang_orders_total", C, "Orders to agents by what became of them", ("action", "state")),
    M("tengwang_playbooks", G, "Playbooks by state: active, refused", ("state",)),
    # --- posture
    M("tengwang_posture_score", G, "Score of the whole, 0 to 100"),
    M("tengwang_posture_seconds", G, "Time of the last round of scores"),
    M("tengwang_posture_errors_total", C, "Rounds of scores that failed, and records of them that no store took"),
    M("tengwang_posture_indicators", G, "Indicators in use"),
    # --- paging
    M("tengwang_pages_total", C, "Pages by what became of them", ("state",)),
    M("tengwang_page_tries_total", C, "Tries to send a page", ("channel", "outcome")),
    M("tengwang_page_receipts_total", C, "Delivery receipts", ("outcome",)),
    M("tengwang_pages_held_total", C, "Times that a channel's rate limit held a page back", ("channel",)),
    M("tengwang_pages_waiting", G, "Pages that are not sent yet"),
    M("tengwang_pages_oldest_seconds", G, "Age of the oldest of them"),
    M("tengwang_pages_dead", G, "Dead letters that nobody has seen to"),
    M("tengwang_paging_trouble", G, "1 while people can not be paged for this reason", ("reason",)),
    M("tengwang_smpp_binds_total", C, "SMPP sessions begun"),
    M("tengwang_page_links_refused_total", C, "Links of pages that were refused", ("reason",)),
    # --- console and API
    M("tengwang_logins_total", C, "Logins", ("outcome",)),
    M("tengwang_console_refused_total", C, "Refused requests to console and API", ("reason",)),
    M("tengwang_console_errors_total", C, "Errors of console and API that should not be"),
)

OF_AGENT: tuple[Metric, ...] = (
    # --- inputs
    M("tengwang_input_refused_total", C, "What an input read and could not make an event of", ("input", "reason")),
    M("tengwang_input_cut_total", C, "What an input left out beyond its bounds", ("input",)),
    M("tengwang_input_lost_total", C, "Lost before it could become an event", ("input",)),
    M("tengwang_packets_taken_total", C, "Packets taken by the sampling filter"),
    M("tengwang_packets_skipped_total", C, "Packets that are no flow", ("reason",)),
    M("tengwang_flow_table_full_total", C, "Times that the flow table was emptied because it was full"),
    M("tengwang_evidence_lost_total", C, "Packets that the evidence ring did not keep", ("reason",)),
    M("tengwang_exports_received_total", C, "Datagrams and messages of registered exporters", ("input",)),
    M("tengwang_exports_unregistered_total", C, "Datagrams of exporters that nobody registered", ("input",)),
    M("tengwang_exports_records_total", C, "Flow records and samples read", ("input",)),
    M("tengwang_snmp_polls_total", C, "SNMP polls", ("outcome",)),
    M("tengwang_snmp_tables_cut_total", C, "SNMP tables left out beyond their bound"),
    M("tengwang_snmp_answers_refused_total", C, "SNMP answers that could not be used", ("reason",)),
    M("tengwang_checks_total", C, "Readiness checks made", ("check", "status")),
    M("tengwang_readiness_round_seconds", G, "Time of the last round of checks"),
    M("tengwang_readiness_subjects_left_out_total", C, "Subjects beyond the bound of a round"),
    # --- orders
    M("tengwang_agent_orders_total", C, "Orders of the collector by what became of them", ("action", "phase")),
    M("tengwang_agent_orders_active", G, "Containment that is in force on this host"),
    M("tengwang_agent_orders_refused_total", C, "Orders refused", ("reason",)),
    # --- spool and uplink
    M("tengwang_agent_dropped_total", C, "Events dropped by the spool", ("reason",)),
    M("tengwang_agent_spool_refusals_total", C, "Times that the disk took nothing"),
    M("tengwang_agent_lost_total", C, "Events lost before they had a sequence", ("priority", "reason")),
    M("tengwang_agent_invalid_events_total", C, "What inputs made that is no event", ("reason",)),
    M("tengwang_agent_input_errors_total", C, "Errors out of inputs", ("input",)),
    M("tengwang_agent_sent_total", C, "Events that a collector has stored", ("priority",)),
    M("tengwang_agent_batches_total", C, "Batches by what became of them", ("outcome",)),
    M("tengwang_agent_ledger_collected", G, "Events that the spool accepted since it was made"),
    M("tengwang_agent_ledger_acked", G, "Of those, stored by a collector"),
    M("tengwang_agent_ledger_spooled", G, "Of those, waiting on the disk"),
    M("tengwang_agent_ledger_dropped", G, "Of those, dropped"),
    M("tengwang_agent_spool_bytes", G, "Disk space that the spool takes"),
    M("tengwang_agent_memory_bytes", G, "Resident memory of the agent"),
    M("tengwang_agent_cpu_ratio", G, "CPU of the agent, 1.0 is one core"),
    M("tengwang_agent_uptime_seconds", G, "Time since the agent started"),
    M("tengwang_agent_uplink_connected", G, "1 while a collector takes events"),
    M("tengwang_agent_input_on", G, "1 while the input sees", ("input",)),
    M("tengwang_agent_spool_torn_bytes_total", C, "Bytes of torn pages skipped at start"),
)
# fmt: on

METRICS = (*OF_COLLECTOR, *OF_AGENT)
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in METRICS}


def begin(report: Report, metrics: Iterable[Metric]) -> None:
    """Counters without labels are there from the start as 0, so that a first increase is seen as one."""
    for metric in metrics:
        if metric.kind == C and not metric.labels:
            report.count(metric.name, 0)


def expose(series: Iterable[Series]) -> bytes:
    """The text that Prometheus reads (``CONTENT_TYPE``), with the usual ``process_`` metrics of this program."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.core import Metric as Family

    families: dict[str, Family] = {}
    for one in series:
        family = families.get(one.name)
        if family is None:
            known = BY_NAME.get(one.name)
            make = CounterMetricFamily if one.kind == C else GaugeMetricFamily
            family = families[one.name] = make(one.name, known.meaning if known else one.name)
        family.add_sample(one.name, dict(one.labels), one.value)

    class Snapshot:
        def collect(self) -> Iterable[Family]:
            return families.values()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
