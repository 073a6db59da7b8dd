"""Renew this agent's certificate now. A running agent does it by itself at half of the certificate's life."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.home import DEFAULT

HELP = "renew this agent's certificate now"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from agent import enrolment
    from agent.home import Home
    from agent.host_identity import this_host
    from telemetry.clock import SystemClock, iso

    renewed = enrolment.renew(Home(arguments.home), this_host(), SystemClock())
    print(f"the certificate of {renewed.name} ({renewed.agent}) is good until {iso(renewed.not_after_ms)}")
    return 0
