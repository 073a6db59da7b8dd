"""Try the ways to reach people, without waiting for an incident.

  tengwang notify test --person li                  by every channel that this person has, one after another
  tengwang notify test --person li --channel sms    by this one
  tengwang notify channels                          what is configured

The message says that it is a test. Exit code 1 where a channel did not take it.
"""

from __future__ import annotations

import argparse
import sys

from collector.attached import add_home

HELP = "try the configured ways to reach people"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    test = actions.add_parser("test", help="send a test message", description="send a test message to one person")
    test.add_argument("--person", required=True, help="id of a person of the inventory")
    test.add_argument("--channel", help="name of one notifier (all that the person has)")
    listing = actions.add_parser("channels", help="show what is configured", description="show the notifiers")
    for action in (test, listing):
        add_home(action)


def run(arguments: argparse.Namespace) -> int:
    return {"test": _test, "channels": _channels}[arguments.action](arguments)


def _channels(arguments: argparse.Namespace) -> int:
    from collector.attached import services

    with services(arguments) as parts:
        for table in parts.config.notifiers:
            print(f"{table.get('name') or table['type']:<20} {table['type']}")
        if not parts.config.notifiers:
            print("no notifier is configured; see [[notifiers]] in deploy/reference", file=sys.stderr)
    return 0


def _test(arguments: argparse.Namespace) -> int:
    import secrets

    from collector.attached import services, who
    from collector.notifier import Message, NotifierContext
    from collector.pager import recipient
    from collector.ways import make_ways
    from telemetry.errors import Permanent, Transient

    failed = False
    with services(arguments) as parts:
        to = recipient(parts.inventory.current(), arguments.person)
        if to is None:
            raise Permanent("unknown_person", f"the inventory has no person {arguments.person!r}")
        ways = {
            way.name: way for way in make_ways(parts.config, NotifierContext(parts.home, parts.clock, parts.report))
        }
        person = parts.inventory.current().person(arguments.person)
        wanted = [arguments.channel] if arguments.channel else list((person.channels if person else ()) or ways)
        if not ways:
            raise Permanent("no_channel", "no notifier is configured: write [[notifiers]] into the configuration")
        zh = to.language != "en"
        text = "【滕网】测试消息，无需处理。" if zh else "[Tengwang] This is a test message; nothing needs to be done."
        message = Message(
            id=secrets.token_hex(16),
            to=to,
            subject=text,
            text=text,
            level="informational",
            created_ms=parts.clock.now_ms(),
            data={"test": 1},
        )
        for name in wanted:
            if name not in ways:
                failed = True
                print(f"{name}: there is no such notifier; known: {', '.join(ways)}", file=sys.stderr)
                continue
            try:
                sent = ways[name].notifier.notify(message)
                print(f"{name}: taken" + (f", {sent.parts} parts" if sent.parts > 1 else ""))
            except (Transient, Permanent) as error:
                failed = True
                print(f"{name}: {error}", file=sys.stderr)
        for way in ways.values():
            way.notifier.close()
        outcome = "failure" if failed else "success"
        parts.trail.write("notify-test", outcome, user=who(), message=f"{arguments.person}: {', '.join(wanted)}")
    return int(failed)
