"""Send recorded events through enrichment and the rules again, and print the alerts that they raise.

  tengwang replay events.ndjson            lines of JSON, as 'tengwang events --json' writes them
  tengwang replay batch.zst                a recorded batch, as it came from an agent
  tengwang replay --store events.ndjson    write events and alerts too; what is stored already stays as it is

Good for trying a rule on what really happened: the same event always gives the same alert id.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from collector.attached import add_home

HELP = "send recorded events through enrichment and rules again"
GROUP = 2000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="NDJSON of events, or a recorded batch; '-' is standard input")
    parser.add_argument("--store", action="store_true", help="write events and alerts into the store")
    parser.add_argument("--json", action="store_true", help="whole alerts, a JSON object a line")
    add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.attached import services
    from collector.recording import groups, read
    from collector.wiring import make_judge
    from telemetry.clock import iso

    recording = read(arguments.file)
    with services(arguments) as parts:
        units = {record.id: record.unit for record in parts.registry.agents()}
        judge = make_judge(parts, lambda agent: units.get(agent, ""))
        done = alerts = stored = duplicates = 0
        for records, refused in groups(recording, parts.clock.now_ms(), GROUP):
            for line, error in refused:
                print(f"{arguments.file}:{line}: {error}", file=sys.stderr)
            raised = judge.judge(records)
            for alert in raised:
                doc = alert.doc
                if arguments.json:
                    print(msgspec.json.encode(doc).decode())
                else:
                    at = iso(int(str(doc["@timestamp"])))
                    print(f"{at}  {doc.get('rule.level')}  {doc.get('rule.name')}  {doc.get('message', '')}")
            if arguments.store:
                written = parts.store.write([*records, *raised], repeat=True)
                stored += written.stored
                duplicates += written.duplicates
            done += len(records)
            alerts += len(raised)
            if sys.stderr.isatty():
                print(f"{done} events, {alerts} alerts ...", end="\r", file=sys.stderr)
    told = f"; {stored} records stored, {duplicates} were there already" if arguments.store else ""
    print(f"{done} events, {alerts} alerts{told}", file=sys.stderr)
    return 0
