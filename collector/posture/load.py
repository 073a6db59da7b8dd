"""``rules/posture/*.yml`` to indicators, warnings and the scale. What is wrong is refused alone, with path:line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collector import query_normal, search_text
from collector.duration import seconds
from collector.posture.indicator import Book, Colours, Indicator, Measure, Scale, WarningRule
from collector.query import Aggregate, ByTerm, Latest
from collector.query import Measure as Value
from telemetry import config
from telemetry.config import Document, KeyPath
from telemetry.errors import ConfigError, Permanent, Problem
from telemetry.fields import BY_NAME

FOLDER = "posture"
MAX_BYTES = 256 * 1024
MAX_FILES = 500
FORMS = {"indicator": Indicator, "scale": Scale, "warning": WarningRule}
PLAIN = Scale(
    form="scale",
    id="plain",
    title_zh="得分",
    title_en="Score",
    floor=0.0,
    below=Colours(blue=85, yellow=75, orange=60, red=40),
    source="used where no scale is loaded",
    date="2026",
)


def load(paths: Sequence[Path]) -> tuple[Book, list[Problem]]:
    """Everything below ``<path>/posture`` of each folder of rules. Never raises; later files of one id win nothing."""
    indicators: dict[str, Indicator] = {}
    warnings: dict[str, WarningRule] = {}
    scale: Scale | None = None
    problems: list[Problem] = []
    for path in files(paths):
        made, wrong = load_file(path)
        problems += wrong
        if made is None:
            continue
        if isinstance(made, Scale):
            scale = made  # a user's own folder comes last and may say another
            continue
        known: Any = indicators if isinstance(made, Indicator) else warnings
        if made.id in known:
            problems.append(Problem(str(path), 1, "id", f"{made.id} is there already", "choose another id"))
            continue
        known[made.id] = made
    for warning in list(warnings.values()):
        if warning.method == "target" and not _has_target(indicators.get(warning.indicator)):
            hint = config.nearest(warning.indicator, indicators) or "name an indicator with target and target_year"
            problems.append(Problem(warning.id, 0, "indicator", f"{warning.indicator!r} has no target", hint))
            del warnings[warning.id]
    by_cap = sorted(indicators.values(), key=lambda i: (-i.cap, i.id))
    return Book(tuple(by_cap), tuple(warnings[name] for name in sorted(warnings)), scale or PLAIN), problems


def files(paths: Sequence[Path]) -> list[Path]:
    """Every file, ours first; a path may also be such a folder, or one file, itself."""
    found: list[Path] = []
    for path in paths:
        if path.is_file():
            found.append(path)
        else:
            folder = path / FOLDER if (path / FOLDER).is_dir() else path if path.name == FOLDER else None
            found += sorted(folder.rglob("*.yml")) if folder else []
    return found[:MAX_FILES]


def load_file(path: Path) -> tuple[Indicator | Scale | WarningRule | None, list[Problem]]:
    """One file holds one thing. Never raises."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None, [Problem(str(path), 0, "", f"is larger than {MAX_BYTES} bytes")]
        return load_document(config.read(path))
    except OSError as error:
        return None, [Problem(str(path), 0, "", f"can not be read: {error.strerror}")]
    except ConfigError as error:
        return None, error.problems


def load_text(path: str, text: str) -> tuple[Indicator | Scale | WarningRule | None, list[Problem]]:
    try:
        return load_document(config.read_yaml(path, text))
    except ConfigError as error:
        return None, error.problems


def load_document(document: Document) -> tuple[Indicator | Scale | WarningRule | None, list[Problem]]:
    data = document.data
    if not isinstance(data, dict):
        return None, [Problem(document.path, 1, "", "is no mapping", "form:, id:, title_zh: ...")]
    form = data.get("form", "indicator")
    if not isinstance(form, str) or form not in FORMS:
        line = document.line(("form",))
        return None, [Problem(document.path, line, "form", f"{form!r:.60} is unknown", "one of: " + ", ".join(FORMS))]
    kind: Any = FORMS[form]
    made, problems = config.convert(document, data, kind)
    if made is None or problems:
        return None, problems
    if isinstance(made, Indicator):
        problems = list(_of_measure(document, made.measure))
        if made.ceiling is not None and not made.cap:
            problems.append(_problem(document, ("ceiling",), "has no effect without a cap"))
        if (made.target is None) is not (made.target_year is None):
            problems.append(_problem(document, ("target",), "target and target_year go together"))
    elif isinstance(made, WarningRule):
        problems = list(_of_warning(document, made))
    return (None, problems) if problems else (made, [])


def _of_measure(document: Document, measure: Measure) -> Iterator[Problem]:
    searches = [(("measure", "query"), measure.query)]
    searches += [(("measure", "bad", at), text) for at, text in enumerate(measure.bad)]  # type: ignore[misc]
    for key, text in searches:
        yield from _searchable(document, key, text)
    names = [(("measure", "per", at), name) for at, name in enumerate(measure.per)]
    names += [(("measure", "field"), measure.field)] if measure.field else []  # type: ignore[list-item]
    names += [(("measure", "stale_of"), measure.stale_of)]  # type: ignore[list-item]
    for key, name in names:  # type: ignore[assignment]
        if name not in BY_NAME:
            yield _problem(document, key, f"there is no field {name!r}", config.nearest(name, BY_NAME))
            return
    if measure.take == "latest" and not measure.per:
        yield _problem(document, ("measure",), "latest wants per: what there is one newest record of")
    if measure.take == "latest" and not (measure.bad or measure.stale):
        yield _problem(document, ("measure",), "latest wants bad or stale: which of them count")
    if measure.take == "sum" and not measure.field:
        yield _problem(document, ("measure",), "sum wants a field")
    if measure.take != "latest" and (measure.per or measure.stale):
        yield _problem(document, ("measure",), f"per and stale are for latest, not for {measure.take}")
    if measure.take != "latest" and measure.share is not (len(measure.bad) == 1):
        yield _problem(document, ("measure", "share"), f"the share of a {measure.take} wants one search in bad")
    if measure.take == "latest" and measure.share and measure.field:
        yield _problem(document, ("measure", "share"), "a share of the newest records has no field")
    try:
        if measure.per:
            query_normal.latest(Latest(0, 1, measure.per))
        if measure.field:
            query_normal.aggregate(Aggregate(0, 1, measures=(Value("sum", measure.field),)))
    except Permanent as error:
        yield _problem(document, ("measure",), error.detail)


def _of_warning(document: Document, warning: WarningRule) -> Iterator[Problem]:
    yield from _searchable(document, ("query",), warning.query)
    if warning.method == "target" and not warning.indicator:
        yield _problem(document, ("method",), "target wants an indicator")
    if warning.field:
        try:
            query_normal.aggregate(
                Aggregate(0, 1, by=(ByTerm("tengwang.unit.id"),), measures=(Value("sum", warning.field),))
            )
        except Permanent as error:
            yield _problem(document, ("field",), error.detail)
    if seconds(warning.window) < 3600:
        yield _problem(document, ("window",), "at least an hour")


def _searchable(document: Document, key: KeyPath, text: str) -> Iterator[Problem]:
    try:
        search_text.parse(text)
    except Permanent as error:
        yield _problem(document, key, error.detail)


def _problem(document: Document, key: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(document.path, document.line(key), config.dotted(key), message, hint)


def _has_target(indicator: Indicator | None) -> bool:
    return indicator is not None and indicator.target is not None
