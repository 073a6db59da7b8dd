"""A Sigma filter: what the rules that it names must fulfil besides, e.g. not to be about the scanner of our own."""

from __future__ import annotations

import msgspec
from sigma.rule import SigmaLogSource

from collector.detect.condition import Match
from collector.detect.rule import Rule


class Filter(msgspec.Struct, frozen=True):
    """``rules`` are ids or names; empty: every rule whose log source lies in that of the filter."""

    path: str
    line: int
    logsource: SigmaLogSource
    rules: tuple[str, ...]
    match: Match
    fields: frozenset[str]

    def is_about(self, rule: Rule) -> bool:
        if rule.logsource is None or rule.logsource not in self.logsource:
            return False
        return not self.rules or rule.info.id in self.rules or rule.name in self.rules

    def on(self, rule: Rule) -> Rule:
        """The rule with this filter; what an event must have for it stays."""
        matches, passes = rule.match, self.match
        return msgspec.structs.replace(
            rule, match=lambda event: matches(event) and passes(event), fields=rule.fields | self.fields
        )
