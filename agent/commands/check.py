"""Check this agent before it runs: is the configuration right, can each input see, can the collector be reached?

Exit 0: all is well. 1: it would run, but something can not be seen or reached. 2: it would not start.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "check configuration, sight and the way to the collector"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")
    parser.add_argument("--config", type=Path, help="configuration (default: HOME/agent.toml)")
    parser.add_argument("--json", action="store_true", help="for a program")


def run(arguments: argparse.Namespace) -> int:
    import msgspec

    from agent import config, self_check
    from agent.home import Home

    home = Home(arguments.home)
    settings = config.load(arguments.config or home.config)
    findings = self_check.run(home, settings)
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode() + "\n")
    else:
        for found in findings:
            advice = f"\n      to do: {found.advice}" if found.advice else ""
            sys.stdout.write(f"{found.grade:<5} {found.what}: {found.detail}{advice}\n")
    return max((found.exit_code for found in findings), default=0)
