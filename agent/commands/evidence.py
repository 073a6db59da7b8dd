"""Take the packets around a moment out of the agent's evidence ring, as a pcapng for tshark or Wireshark.

tengwang-agent evidence --around 2026-11-23T08:30:00Z --about 2001:db8::5 --why "incident 7" --out x.pcapng

The ring is kept where the input "packets" has evidence_mb. Who asked for what is put on record in evidence.jsonl.
Exit 1 where there is no ring.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.home import DEFAULT

HELP = "take packets around a moment out of the evidence ring"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, default=DEFAULT, help="folder of this agent (default: %(default)s)")
    parser.add_argument("--around", required=True, metavar="TIME", help="the moment, for example 2026-11-23T08:30:00Z")
    parser.add_argument("--before", type=float, default=60.0, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument("--after", type=float, default=60.0, metavar="SECONDS", help="default: %(default)s")
    parser.add_argument(
        "--about", action="append", default=[], metavar="ADDRESS", help="an address, prefix or MAC; may be repeated"
    )
    parser.add_argument("--max-kb", type=int, default=1024, metavar="KB", help="size at most (default: %(default)s)")
    parser.add_argument("--why", default="", help="the reason, for the record")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the pcapng to write")


def run(arguments: argparse.Namespace) -> int:
    import os
    import pwd

    from agent import evidence
    from agent.home import Home
    from telemetry.clock import SystemClock, parse_iso
    from telemetry.errors import ConfigError

    home = Home(arguments.home)
    try:
        around = parse_iso(arguments.around)
    except ValueError:
        hint = "for example 2026-11-23T08:30:00Z"
        raise ConfigError.one("--around", f"{arguments.around!r} is no time", hint) from None
    if not 1 <= arguments.max_kb <= 1 << 20:
        raise ConfigError.one("--max-kb", "is from 1 to 1048576")
    folders = evidence.folders(home.state)
    if not folders:
        print(f"no evidence ring under {home.state}: set evidence_mb of the input packets", file=sys.stderr)
        return 1
    user = pwd.getpwuid(os.getuid()).pw_name
    asked = evidence.Asked(
        around_ms=around,
        before_s=arguments.before,
        after_s=arguments.after,
        about=tuple(arguments.about),
        max_bytes=arguments.max_kb << 10,
        by=f"{os.environ.get('SUDO_USER') or user} on this host",
        why=arguments.why,
    )
    made = evidence.extract(folders[0], asked)
    try:
        evidence.note(home.path / "evidence.jsonl", asked, made, SystemClock().now_ms())
        arguments.out.write_bytes(made.data)
    except OSError as error:
        raise ConfigError.one(str(error.filename), error.strerror or str(error)) from error
    print(f"{made.packets} packets, {len(made.data)} bytes in {arguments.out}; {made.left_out} left out", end="")
    print(f"; {made.unreadable} files of the ring end early" if made.unreadable else "")
    return 0
