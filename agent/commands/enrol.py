"""Make this host an agent of a collector.

The token comes from the collector: tengwang token create --enrol --unit UNIT. The key is made here and never leaves
this host; the token is only sent to the collector that made it. Enrolling again replaces what was there; unsent events
stay in the spool and go on under the new identity, except on a cloned disk, where they are the original's.

--token -        reads the token from standard input, so that it is in no process list
--token @FILE    reads it from a file
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "make this host an agent of a collector, with a token from it"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", help="the collector, for example https://[2001:db8::1]:8743")
    parser.add_argument("--token", required=True, help="the enrolment token; - or @FILE to read it")
    parser.add_argument("--name", default="", help="what this agent is called (default: the host's name)")
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    from agent import enrolment, link
    from agent.home import Home
    from agent.host_identity import this_host
    from telemetry.clock import SystemClock, iso

    token = _token(arguments.token)
    link.parse_url(arguments.url)
    home = Home(arguments.home)
    home.lock()
    enrolled = enrolment.enrol(home, arguments.url, token, arguments.name, this_host(), SystemClock())
    print(f"enrolled as {enrolled.name} ({enrolled.agent}) of unit {enrolled.unit}")
    print(f"the certificate is good until {iso(enrolled.not_after_ms)} and renews itself")
    where = "" if home.path == DEFAULT else f" --home {arguments.home}"
    print(f"now run: tengwang-agent run{where}")
    return 0


def _token(given: str) -> str:
    from telemetry.errors import ConfigError

    if given == "-":
        return sys.stdin.readline().strip()
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError.one(given[1:], f"the token can not be read: {error}") from error
    return given
