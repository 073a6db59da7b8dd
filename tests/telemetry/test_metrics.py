from __future__ import annotations

import re
from pathlib import Path

from telemetry.metrics import BY_NAME, METRICS, begin, expose
from telemetry.report import Report

ROOT = Path(__file__).parents[2]

NUMBER = re.compile(r"(?:count|gauge)\(\s*f?\"(tengwang_[a-z0-9_{}]+)\"")


def counted() -> dict[str, str]:
    """Every number that the code counts or sets, with the file where it does; ``{...}`` in a name is any word."""
    found: dict[str, str] = {}
    for folder in ("agent", "collector", "telemetry"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(
                r"(?:count|gauge)\(\s*f?\"(tengwang_[a-z0-9_{}]+)\"", path.read_text(encoding="utf-8")
            ):
                found[name] = str(path.relative_to(ROOT))
    return found


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[a-z_]+\}", "[a-z]+", name))


def test_every_number_has_a_meaning() -> None:
    found = counted()
    found.pop("tengwang_events_refused_total", None)  # the example in the docstring of Report.count
    missing = {name: where for name, where in found.items() if not any(_pattern(name).fullmatch(n) for n in BY_NAME)}
    assert missing == {}, "add a row for it to telemetry/metrics.py"


def test_every_meaning_has_a_number() -> None:
    patterns = [_pattern(name) for name in counted()]
    assert [name for name in BY_NAME if not any(p.fullmatch(name) for p in patterns)] == []


def test_names_follow_the_convention() -> None:
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert re.fullmatch(r"tengwang_[a-z0-9_]+", metric.name)
    assert len(BY_NAME) == len(METRICS)


def test_it_is_what_prometheus_reads() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    report = Report()
    report.count("tengwang_alerts_total", 3, level="high")
    report.count("tengwang_alerts_total", 1, level="low")
    report.gauge("tengwang_store_writable", 1)
    report.count("tengwang_refused_total", reason='a "quoted"\nreason\\')
    text = expose(report.series()).decode()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = {(s.name, *s.labels.values()): s.value for f in families.values() for s in f.samples}
    assert samples[("tengwang_alerts_total", "high")] == 3
    assert samples[("tengwang_store_writable",)] == 1
    assert samples[("tengwang_refused_total", 'a "quoted"\nreason\\')] == 1
    assert families["tengwang_alerts"].documentation == "Alerts raised"
    assert "# TYPE tengwang_alerts_total counter" in text


def test_a_counter_is_there_before_it_counts() -> None:
    report = Report()
    begin(report, METRICS)
    text = expose(report.series()).decode()
    assert "\ntengwang_audit_lost_total 0.0\n" in text
    assert "tengwang_alerts_total{" not in text  # its labels come with the first one
    assert "process_resident_memory_bytes" in text
