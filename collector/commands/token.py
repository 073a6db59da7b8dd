"""Make, list and revoke tokens: what lets a host become an agent, and a program use the API.

  tengwang token create --enrol --unit bureau              one host, within an hour
  tengwang token create --enrol --unit bureau --uses 20 --ttl 7d
  tengwang token create --role viewer --name grafana       for the HTTP API
  tengwang token list
  tengwang token revoke ID

The token is printed once, alone on the last line, and can not be shown again; only its hash is kept.
"""

from __future__ import annotations

import argparse
import sys

from collector.attached import add_home
from collector.duration import seconds

HELP = "make, list and revoke tokens for agents and for the API"


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a token", description="make a token")
    kind = create.add_mutually_exclusive_group(required=True)
    kind.add_argument("--enrol", action="store_true", help="for a host that shall become an agent")
    kind.add_argument("--role", choices=("viewer", "operator", "admin"), help="for a program that uses the HTTP API")
    create.add_argument("--unit", help="with --enrol: the unit of the host, by its id in the inventory")
    create.add_argument("--uses", type=int, default=1, help="with --enrol: how many hosts (1)")
    create.add_argument("--name", default="", help="with --role: what uses it (the role's name)")
    create.add_argument("--ttl", type=seconds, help="how long it is good: 90s, 1h, 7d (--enrol: 1h; --role: for ever)")
    listing = actions.add_parser("list", help="show what there is", description="show all tokens, never the secrets")
    revoke = actions.add_parser("revoke", help="make one useless", description="make a token useless at once")
    revoke.add_argument("id", help="as 'token list' shows it")
    for action in (create, listing, revoke):
        add_home(action)
    for action in (create, listing):
        action.add_argument("--json", action="store_true", help="for a program")


def run(arguments: argparse.Namespace) -> int:
    return {"create": _create, "list": _list, "revoke": _revoke}[arguments.action](arguments)


def _create(arguments: argparse.Namespace) -> int:
    return _create_enrol(arguments) if arguments.enrol else _create_api(arguments)


def _create_enrol(arguments: argparse.Namespace) -> int:
    import json

    from collector.attached import services, who
    from collector.known_unit import known_unit

    ttl = 3600 if arguments.ttl is None else arguments.ttl
    with services(arguments) as parts:
        unit = known_unit(parts.inventory, arguments.unit)
        token = parts.registry.create_enrol_token(unit, ttl, arguments.uses, who())
    if arguments.json:
        print(json.dumps({"id": token.id, "token": str(token), "unit": unit, "uses": arguments.uses, "ttl_s": ttl}))
        return 0
    hosts = "one host" if arguments.uses == 1 else f"{arguments.uses} hosts"
    print(f"for {hosts} of unit {unit}, for {ttl} s; on the host:", file=sys.stderr)
    print("  tengwang-agent enrol https://COLLECTOR:8743 --token TOKEN", file=sys.stderr)
    print(token)
    return 0


def _create_api(arguments: argparse.Namespace) -> int:
    import json

    from collector import api_tokens
    from collector.access.roles import Role
    from collector.attached import services, who

    name = arguments.name or arguments.role
    with services(arguments) as parts:
        text = api_tokens.create(parts.store, parts.clock, Role(arguments.role), name, arguments.ttl or 0, who())
        parts.trail.write("api-token-created", "success", user=who(), message=f"{name}, role {arguments.role}")
    if arguments.json:
        print(json.dumps({"id": text.split(".")[1], "token": text, "role": arguments.role, "name": name}))
        return 0
    print("send it as:  Authorization: Bearer TOKEN", file=sys.stderr)
    print(text)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    import json

    from collector import api_tokens
    from collector.attached import services
    from telemetry.clock import iso

    with services(arguments) as parts:
        rows = [
            {
                "id": t.id,
                "kind": "enrol",
                "for": t.unit,
                "left": t.left,
                "expires": iso(t.expires_ms),
                "expired": t.expires_ms <= parts.clock.now_ms(),
                "by": t.by,
            }
            for t in parts.registry.enrol_tokens()
        ]
        rows += [
            {
                "id": a.id,
                "kind": "api",
                "for": f"{a.name} ({a.role.value})",
                "left": None,
                "expires": iso(a.expires_ms) if a.expires_ms else "",
                "expired": bool(a.expires_ms) and a.expires_ms <= parts.clock.now_ms(),
                "by": a.by,
            }
            for a in api_tokens.tokens(parts.store)
        ]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    if not rows:
        print("no tokens", file=sys.stderr)
    for row in rows:
        uses = "" if row["left"] is None else f"{row['left']} left"
        expires = "expired" if row["expired"] else row["expires"] or "never expires"
        print(f"{row['id']:<14} {row['kind']:<6} {row['for']:<28} {uses:<9} {expires:<26} {row['by']}")
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    from collector import api_tokens
    from collector.attached import services, who
    from telemetry.errors import Permanent

    with services(arguments) as parts:
        try:
            parts.registry.revoke_enrol_token(arguments.id, who())
        except Permanent:
            api_tokens.revoke(parts.store, arguments.id)
            parts.trail.write("api-token-revoked", "success", user=who(), message=arguments.id)
    print(f"revoked {arguments.id}", file=sys.stderr)
    return 0
