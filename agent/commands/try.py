"""Run one input once, without a collector, and print what it finds, one event a line.

tengwang-agent try host --json
tengwang-agent try ndp --set 'file="capture.pcap"' --json
tengwang-agent try snmp --set 'target="2001:db8::1"' --set 'community="file:/root/community"' --json
tengwang-agent try readiness --set 'domain="www.example.gov.cn"' --json

A value is TOML ("text", 12, true, ["a", "b"]); what is none is taken as text. An input that measures all the time runs
for --for seconds; one that reads a file ends with it. Exit 1 where the input can not see here.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry.event import Event

HELP = "run one input once, without a collector, and print its events"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="its type, for example host, ndp, packets, snmp or readiness")
    parser.add_argument(
        "--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of the input; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=float,
        default=10.0,
        help="how long one that does not end runs (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    import asyncio

    from agent import trial
    from agent.input import Blind

    def show(made: Event) -> None:
        sys.stdout.write(trial.json_line(made) if arguments.json else trial.text_line(made))
        sys.stdout.flush()

    try:
        asyncio.run(trial.run(arguments.input, arguments.set, arguments.seconds, show))
    except Blind as blind:
        print(f"blind here: {blind.why}; to see: {blind.advice}", file=sys.stderr)
        return 1
    return 0
