"""The rules in use: loaded from folders, loaded again where a file changed, and asked about every event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector.detect.fieldmap import FieldMap
from collector.detect.index import Index
from collector.detect.load import Loaded, find_maps, load_file, rule_files
from collector.detect.outcome import Outcomes
from collector.detect.rule import Proof, Rule, RuleInfo
from collector.detect.ruleset import Ruleset, join
from collector.query import Kind
from collector.store import Record
from telemetry.clock import Clock
from telemetry.errors import Problem
from telemetry.event import Event
from telemetry.report import Report

Stamp = tuple[int, int, int]


class Matching:
    """A set of rules put to use: events in, alerts and hits out. For one thread."""

    def __init__(self, ruleset: Ruleset, outcomes: Outcomes) -> None:
        every = [rule.proof for rule in ruleset.rules] + [one.proof for one in ruleset.correlations]
        proofs = [proof for proof in every if proof is not None]
        self._makers = [outcomes.of_rule(rule, ruleset.used_by.get(rule.info.id, ())) for rule in ruleset.rules]
        self._makers += [outcomes.of_proof(proof) for proof in proofs]
        self._index: Index[Rule | Proof] = Index([*ruleset.rules, *proofs])

    def detect(self, event: Event) -> list[Record]:
        hits = self._index.hits(event)
        if not hits:
            return []
        makers = self._makers
        return [record for number in hits for record in makers[number](event)]


class Detector:
    """``detect`` and ``reload_if_changed`` are for one thread; what the others give or take, for any."""

    def __init__(self, paths: Sequence[Path], report: Report, clock: Clock, collector: str = "") -> None:
        self._paths = tuple(paths)
        self._report = report
        self._clock = clock
        self._files: dict[Path, tuple[Stamp, Loaded]] = {}
        self._maps: tuple[FieldMap, ...] = ()
        self._ruleset = Ruleset()
        self._rules: list[RuleInfo] = []
        self._problems: list[Problem] = []
        self._watched: frozenset[str] = frozenset()
        self._outcomes = Outcomes(collector, lambda: self._watched, report)
        self._matching = Matching(self._ruleset, self._outcomes)
        self._loaded = False
        self.reload_if_changed()

    def detect(self, event: Event) -> list[Record]:
        """The alerts and hits of an event that has its ``event.id``; the same for every delivery of it."""
        made = self._matching.detect(event)
        for record in made:
            if record.kind is Kind.HIT:
                self._report.count("tengwang_hits_total", role=str(record.doc["tengwang.hit.role"]))
        return made

    def watch(self, keys: frozenset[str]) -> None:
        """Keys of open incidents: proofs of their end are kept soon, not once an hour."""
        self._watched = keys

    def ruleset(self) -> Ruleset:
        """What is in use now; another object after a change."""
        return self._ruleset

    def rules(self) -> list[RuleInfo]:
        """Every rule in use, also those that are idle here."""
        return self._rules

    def problems(self) -> list[Problem]:
        """Why some rules are not in use."""
        return self._problems

    def reload_if_changed(self) -> bool:
        """Read the files that are new or changed, and forget those that went; True where anything did."""
        stamps = _stamps(self._paths)
        if self._loaded and stamps == {path: entry[0] for path, entry in self._files.items()}:
            return False
        self._loaded = True
        started = self._clock.monotonic()
        maps = find_maps(stamps)
        if [one.data for one in maps] != [one.data for one in self._maps]:
            self._maps, self._files = maps, {}
        self._files = {
            path: known if (known := self._files.get(path)) and known[0] == stamp else (stamp, load_file(path, maps))
            for path, stamp in stamps.items()
        }
        self._use()
        if self._problems:
            first, count = self._problems[0], len(self._problems)
            self._report.warn("rules", f"{count} problem(s), these rules are not in use; the first: {first}")
        self._report.gauge("tengwang_rules_load_seconds", self._clock.monotonic() - started)
        return True

    def _use(self) -> None:
        ruleset = join(entry[1] for entry in self._files.values())
        self._matching = Matching(ruleset, self._outcomes)
        self._ruleset = ruleset
        self._rules = ruleset.infos()
        self._problems = [
            *(
                Problem(str(path), 0, "", "is not there", "a rule file or a folder of them")
                for path in self._paths
                if not path.exists()
            ),
            *ruleset.problems,
        ]
        idle = sum(bool(info.idle) for info in self._rules)
        self._report.gauge("tengwang_rules", len(self._rules) - idle, state="active")
        self._report.gauge("tengwang_rules", idle, state="idle")
        self._report.gauge("tengwang_rules", len(self._problems), state="refused")


def _stamps(paths: Sequence[Path]) -> dict[Path, Stamp]:
    """Every rule file below the paths, in order, with what changes when it is written or put in another's place."""
    found: dict[Path, Stamp] = {}
    for path in paths:
        for file in rule_files(path) if path.is_dir() else [path]:
            try:
                about = file.stat()
            except OSError:
                continue
            found[file] = (about.st_mtime_ns, about.st_size, about.st_ino)
    return found


def build(paths: Sequence[Path], report: Report, clock: Clock, collector: str = "") -> Detector:
    """A detector over rule files and folders; a problem with one rule does not keep the others away."""
    return Detector(paths, report, clock, collector)
