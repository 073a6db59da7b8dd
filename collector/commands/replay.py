"""Send recorded events through enrichment, rules and correlations again, and print the alerts that they raise.

  tengwang replay events.ndjson            lines of JSON, as 'tengwang events --json' writes them
  tengwang replay batch.zst                a recorded batch, as it came from an agent
  tengwang replay --store events.ndjson    write events and alerts too; what is stored already stays as it is

Good for trying a rule on what really happened: the same event always gives the same alert id. Correlations see the
events at their own times and only those of the recording; of an absence nothing is said after the recording's end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collector.attached import add_home

if TYPE_CHECKING:
    from collector.store import Record

HELP = "send recorded events through enrichment and rules again"
GROUP = 2000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="NDJSON of events, or a recorded batch; '-' is standard input")
    parser.add_argument("--store", action="store_true", help="write events and alerts into the store")
    parser.add_argument("--json", action="store_true", help="whole alerts, a JSON object a line")
    add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    from collector.attached import services
    from collector.detect.rehearsal import Rehearsal
    from collector.recording import groups, read
    from collector.wiring import make_judge

    recording = read(arguments.file)
    with services(arguments) as parts:
        units = {record.id: record.unit for record in parts.registry.agents()}
        judge = make_judge(parts, lambda agent: units.get(agent, ""))
        rehearsal = Rehearsal(parts.detector.ruleset(), parts.report, parts.collector_id)
        done = alerts = stored = duplicates = 0
        for records, refused in groups(recording, parts.clock.now_ms(), GROUP):
            for line, error in refused:
                print(f"{arguments.file}:{line}: {error}", file=sys.stderr)
            raised = [made for record in records for made in rehearsal.follow(judge.judge([record]), record.doc)]
            alerts += _tell(raised, arguments.json)
            if arguments.store:
                written = parts.store.write([*records, *raised], repeat=True)
                stored += written.stored
                duplicates += written.duplicates
            done += len(records)
            if sys.stderr.isatty():
                print(f"{done} events, {alerts} alerts ...", end="\r", file=sys.stderr)
        raised = rehearsal.end()
        alerts += _tell(raised, arguments.json)
        if arguments.store and raised:
            written = parts.store.write(raised, repeat=True)
            stored += written.stored
            duplicates += written.duplicates
    told = f"; {stored} records stored, {duplicates} were there already" if arguments.store else ""
    print(f"{done} events, {alerts} alerts{told}", file=sys.stderr)
    return 0


def _tell(raised: Sequence[Record], whole: bool) -> int:
    """How many alerts there were among what was raised."""
    import msgspec

    from collector.query import Kind
    from telemetry.clock import iso

    alerts = [record.doc for record in raised if record.kind is Kind.ALERT]
    for doc in alerts:
        if whole:
            print(msgspec.json.encode(doc).decode())
        else:
            at = iso(int(str(doc["@timestamp"])))
            print(f"{at}  {doc.get('rule.level')}  {doc.get('rule.name')}  {doc.get('message', '')}")
    return len(alerts)
