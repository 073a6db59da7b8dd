"""All the rules of some files together: filters put on the rules that they name, correlations joined to their parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from collector.detect.correlation import Correlation, Joint, Kind
from collector.detect.filter import Filter
from collector.detect.load import Loaded
from collector.detect.rule import Rule, RuleInfo
from telemetry.errors import Problem


class Ruleset(msgspec.Struct, frozen=True):
    """What is in use. ``correlations`` stand after those that they correlate."""

    rules: tuple[Rule, ...] = ()
    correlations: tuple[Correlation, ...] = ()
    problems: tuple[Problem, ...] = ()
    used_by: Mapping[str, tuple[Correlation, ...]] = {}
    """Id of a rule or correlation to the correlations that it is a part of."""

    def infos(self) -> list[RuleInfo]:
        return [rule.info for rule in self.rules] + [one.info for one in self.correlations]


def join(files: Iterable[Loaded]) -> Ruleset:
    """A document that can not be joined is left out alone, with its reason."""
    files = list(files)
    problems = [wrong for file in files for wrong in file.problems]
    rules: dict[str, Rule] = {}
    correlations: dict[str, Correlation] = {}
    taken: dict[str, RuleInfo] = {}
    for file in files:
        for rule in file.rules:
            if _first(taken, rule.info, problems):
                rules[rule.info.id] = rule
        for one in file.correlations:
            if _first(taken, one.info, problems):
                correlations[one.id] = one
    rules = _filtered(rules, [one for file in files for one in file.filters], problems)
    resolved = _Joiner(rules, correlations, problems).all()
    used: dict[str, list[Correlation]] = {}
    for one in resolved:
        for part in one.rules:
            used.setdefault(part, []).append(one)
    silent = {part for part, users in used.items() if not any(user.generate for user in users)}
    return Ruleset(
        tuple(_silenced(rule, rule.info.id in silent) for rule in rules.values()),
        tuple(
            msgspec.structs.replace(one, info=msgspec.structs.replace(one.info, raises=one.id not in silent))
            for one in resolved
        ),
        tuple(problems),
        {part: tuple(users) for part, users in used.items()},
    )


def _first(taken: dict[str, RuleInfo], info: RuleInfo, problems: list[Problem]) -> bool:
    first = taken.setdefault(info.id, info)
    if first is not info:
        at = f"first at {first.path}:{first.line}"
        problems.append(Problem(info.path, info.line, "id", f"{info.id} is another rule's", at))
    return first is info


def _silenced(rule: Rule, silent: bool) -> Rule:
    return msgspec.structs.replace(rule, info=msgspec.structs.replace(rule.info, raises=False)) if silent else rule


def _filtered(rules: dict[str, Rule], filters: Sequence[Filter], problems: list[Problem]) -> dict[str, Rule]:
    known = {*rules, *(rule.name for rule in rules.values())}
    for one in filters:
        for name in one.rules:
            if name not in known:
                problems.append(
                    Problem(one.path, one.line, "filter.rules", f"there is no rule {name[:100]!r}", "an id or a name")
                )
    return {rule.info.id: _through(rule, [one for one in filters if one.is_about(rule)]) for rule in rules.values()}


def _through(rule: Rule, filters: Sequence[Filter]) -> Rule:
    for one in filters:
        rule = one.on(rule)
    return rule


class _Joiner:
    """Finds what each correlation names, parts first."""

    def __init__(
        self, rules: Mapping[str, Rule], correlations: Mapping[str, Correlation], problems: list[Problem]
    ) -> None:
        self._rules = rules
        self._correlations = correlations
        self._problems = problems
        self._names: dict[str, list[str]] = {}
        named: list[Rule | Correlation] = [*rules.values(), *correlations.values()]
        for one in named:
            self._names.setdefault(one.info.id, [one.info.id])
            if one.name and one.name != one.info.id:
                self._names.setdefault(one.name, []).append(one.info.id)
        self._done: dict[str, Correlation | None] = {}
        self._open: set[str] = set()

    def all(self) -> list[Correlation]:
        for rule_id in self._correlations:
            self._resolve(rule_id)
        return [one for one in self._done.values() if one is not None]

    def _resolve(self, id: str) -> Correlation | None:
        if id in self._done:
            return self._done[id]
        one = self._correlations[id]
        self._open.add(id)
        made = self._joined(one)
        self._open.discard(id)
        self._done[id] = made
        return made

    def _joined(self, one: Correlation) -> Correlation | None:
        ids: dict[str, str] = {}
        parts: list[RuleInfo] = []
        for reference in one.rules:
            info = self._part(one, reference)
            if info is None:
                return None
            ids[reference] = info.id
            parts.append(info)
        idle = one.info.idle or self._idle(one, parts)
        info = msgspec.structs.replace(
            one.info,
            datasets=() if idle else tuple(sorted({d for part in parts for d in part.datasets})),
            idle=idle,
            fields=tuple(sorted({f for part in parts for f in part.fields} | set(one.fields) | set(one.group_by))),
            uses=tuple(part.id for part in parts),
        )
        return msgspec.structs.replace(
            one,
            info=info,
            rules=info.uses,
            joint=_renamed(one.joint, ids) if one.joint else None,
            aliases={a: {ids[rule]: field for rule, field in to.items()} for a, to in one.aliases.items()},
        )

    def _part(self, one: Correlation, reference: str) -> RuleInfo | None:
        found = self._names.get(reference, [])
        why = ""
        if not found:
            why = f"there is no rule {reference[:100]!r} in use"
        elif len(found) > 1:
            why = f"several rules have the name {reference[:100]!r}"
        elif found[0] in self._open:
            why = f"{reference[:100]!r} correlates this one itself"
        elif found[0] in self._rules:
            return self._rules[found[0]].info
        else:
            made = self._resolve(found[0])
            if made is not None:
                return made.info
            why = f"{reference[:100]!r} is not in use itself"
        hint = "its id, or its name:; it may stand in another file"
        self._problems.append(Problem(one.info.path, one.info.line, "correlation.rules", why, hint))
        return None

    @staticmethod
    def _idle(one: Correlation, parts: Sequence[RuleInfo]) -> str:
        """Of a temporal one all parts are wanted, unless its condition says otherwise; of the others, any."""
        idle = [part.idle for part in parts if part.idle]
        every = one.kind is Kind.TEMPORAL_ORDERED or (one.kind is Kind.TEMPORAL and one.joint is None)
        return f"a rule of it is idle: {idle[0]}" if idle and (every or len(idle) == len(parts)) else ""


def _renamed(joint: Joint, ids: Mapping[str, str]) -> Joint:
    return Joint(joint.op, tuple(_renamed(arg, ids) for arg in joint.args), ids.get(joint.rule, ""))
