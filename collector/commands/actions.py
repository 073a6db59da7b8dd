"""Check the playbooks; show, approve, refuse and withdraw what agents are ordered to do.

  tengwang actions check [PATH]          every problem of playbooks with path:line; exit code 2 where there are some
  tengwang actions list                  orders, what became of them, and which agents may carry out what
  tengwang actions approve ORDER         sign it: the agent may begin now
  tengwang actions refuse ORDER --reason WHY
  tengwang actions withdraw ORDER        undo it now
  tengwang actions again ORDER           propose once more what is over

An agent carries out only what its own ``[actions] allow`` says. Without a path, check reads the packaged playbooks.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from collector.attached import add_home

HELP = "check playbooks; show and decide orders to agents"
DECISIONS = ("approve", "refuse", "withdraw", "again")


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="load playbooks and name every problem", description="check playbooks")
    check.add_argument("path", nargs="?", type=Path, help="folder or file; by default the program's own playbooks")
    check.add_argument("--json", action="store_true", help="for a program: one JSON object")
    listing = actions.add_parser("list", help="orders and abilities", description="orders and abilities")
    listing.add_argument("--incident", default="", help="only those of one incident")
    listing.add_argument("--json", action="store_true", help="for a program: one JSON object")
    add_home(listing)
    for name, about in zip(
        DECISIONS, ("the agent may begin now", "say no", "undo it now", "propose once more what is over"), strict=True
    ):
        decide = actions.add_parser(name, help=about, description=about)
        decide.add_argument("order", help="id of the order")
        if name == "refuse":
            decide.add_argument("--reason", default="", help="why; it stays on record")
        add_home(decide)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "check":
        return _check(arguments)
    return _list(arguments) if arguments.action == "list" else _decide(arguments)


def _check(arguments: argparse.Namespace) -> int:
    from collector import shipped
    from collector.response import playbook
    from telemetry.errors import ConfigError

    path = arguments.path or shipped.playbooks()
    if not path.exists():
        raise ConfigError.one(str(path), "is not there")
    made, problems = playbook.load([path])
    if arguments.json:
        listed = [dataclasses.asdict(problem) for problem in problems]
        print(json.dumps({"ok": not problems, "playbooks": len(made), "problems": listed}, ensure_ascii=False))
        return 2 if problems else 0
    if problems:
        raise ConfigError(problems)
    print(f"{len(made)} playbooks good, {sum(len(one.actions) for one in made)} actions")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    import msgspec

    from collector.attached import services
    from collector.response.texts import STATES, why_text

    with services(arguments) as parts:
        found = parts.responses.every()
        abilities = parts.responses.abilities()
    orders = [view for view in found if arguments.incident in ("", view.incident)]
    if arguments.json:
        print(msgspec.json.encode({"orders": orders, "abilities": abilities}).decode())
        return 0
    for view in orders:
        why = f" ({why_text(view.why).en})" if view.why else ""
        print(f"{view.id}  {view.action.value:<18} {view.target:<28} {STATES[view.state].en}{why}")
        print(f"{'':22}incident {view.incident}, agent {view.agent_name or '-'}, {view.packets} packets met")
    for ability in abilities:
        print(f"agent {ability.agent} ({ability.scope.value}): {', '.join(sorted(ability.allowed)) or 'nothing'}")
    if not orders and not abilities:
        print("no orders, and no agent that may carry out any", file=sys.stderr)
    return 0


def _decide(arguments: argparse.Namespace) -> int:
    from collector.attached import services, who

    with services(arguments) as parts:
        responses = parts.responses
        if arguments.action == "refuse":
            view = responses.refuse(arguments.order, who(), arguments.reason)
        elif arguments.action == "approve":
            view = responses.approve(arguments.order, who())
        elif arguments.action == "withdraw":
            view = responses.withdraw(arguments.order, who())
        else:
            view = responses.again(arguments.order, who())
    print(f"{view.id} is {view.state.value}", file=sys.stderr)
    return 0
