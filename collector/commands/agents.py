"""Show the enrolled agents with their ledgers, and revoke one.

  tengwang agents list            who is there, when it was last heard, and does its ledger add up
  tengwang agents revoke AGENT    its certificate is refused from now on (by id or by name)

A revoked host can come back with a new enrolment token; it is then the same agent again.
"""

from __future__ import annotations

import argparse
import sys

from collector.attached import add_home

HELP = "show the agents and their ledgers; revoke one"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all agents and their ledgers", description="all agents")
    listing.add_argument("--json", action="store_true", help="for a program")
    revoke = actions.add_parser("revoke", help="refuse an agent from now on", description="refuse an agent")
    revoke.add_argument("agent", help="id or name")
    for action in (listing, revoke):
        add_home(action)


def run(arguments: argparse.Namespace) -> int:
    return _list(arguments) if arguments.action == "list" else _revoke(arguments)


def _list(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.attached import services
    from telemetry.clock import iso

    with services(arguments) as parts:
        parts.ledgers.load()
        found = [(record, parts.ledgers.account(record.id)) for record in parts.registry.agents()]
    if arguments.json:
        rows = [{"agent": record, "ledger": account} for record, account in found]
        print(msgspec.json.encode(rows).decode())
        return 0
    if not found:
        print("no agents yet; make a token for one: tengwang token create --enrol --unit UNIT", file=sys.stderr)
    for record, account in found:
        state = "revoked" if record.revoked else "CLONED" if record.cloned else ""
        seen = iso(record.last_seen_ms) if record.last_seen_ms else "never heard"
        dropped = sum(account.dropped.values())
        sum_ = (
            f"collected {account.collected} = stored {account.stored} + spooled {account.spooled} + dropped {dropped}"
        )
        missing = "" if account.adds_up else f"  MISSING {account.missing}"
        print(f"{record.id}  {record.name:<20} {record.unit:<16} {seen:<25} {sum_}{missing} {state}".rstrip())
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    from collector.attached import services, who
    from telemetry.errors import Permanent

    with services(arguments) as parts:
        named = [r for r in parts.registry.agents() if arguments.agent in (r.id, r.name)]
        if len(named) > 1:
            ids = ", ".join(r.id for r in named)
            raise Permanent("ambiguous", f"{len(named)} agents are named {arguments.agent!r}; take the id: {ids}")
        record = parts.registry.revoke(named[0].id if named else arguments.agent, who())
    print(f"revoked {record.name} ({record.id}); it can be enrolled again with a new token", file=sys.stderr)
    return 0
