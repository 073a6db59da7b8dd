"""Show what the agent does: its ledger, its inputs and what each needs to see, and how it gets on with its collector.

The ledger always adds up: collected = stored + spooled + dropped. Asks the running agent; where none runs, the ledger
on the disk is shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "show the ledger, the inputs and the link to the collector"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="for a program")
    parser.add_argument("--lang", choices=("en", "zh"), help="language (default: by the locale)")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from agent import status_text
    from agent.home import Home

    found = status_text.find(Home(arguments.home))
    if arguments.json:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    else:
        text = status_text.text(found, arguments.lang or status_text.language())
    sys.stdout.write(text)
    return 0 if found.running else 1
