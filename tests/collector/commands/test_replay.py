"""Replay goes through correlations as well, at the events' own times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from collector.main import main
from tests.collector.detect.correlating import BASES, IDS, NOW, correlation, event

COUNT = "type: event_count, rules: [a], group-by: [source.ip], timespan: 5m, condition: {gte: 3}"
AVERAGE = "type: value_avg, rules: [b], timespan: 5m, condition: {gt: 3, field: network.bytes}"


def test_a_recording_raises_what_its_events_together_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    (home / "collector/rules").mkdir(parents=True)
    (home / "collector/rules/r.yml").write_text(
        "---\n".join([*BASES, correlation(COUNT), correlation(AVERAGE, "outer")]), encoding="utf-8"
    )
    (home / "collector/tengwang.toml").write_text('[rules]\npaths = ["rules"]\npackaged = false\n', encoding="utf-8")
    recording = tmp_path / "events.ndjson"
    events = [event(n, at=NOW + n * 1000) for n in range(4)] + [event(9, 2, NOW + 9000, network__bytes=5)]
    recording.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    assert main(["replay", str(recording), "--home", str(home), "--json"]) == 0
    said = capsys.readouterr()
    first, second = map(json.loads, said.out.splitlines())
    assert (first["rule.id"], first["tengwang.alert.count"]) == (IDS["c"], 3)
    assert second["rule.id"] == IDS["outer"]  # its window is over after the recording
    assert "5 events, 2 alerts" in said.err
    assert main(["replay", str(recording), "--home", str(home), "--store"]) == 0
    assert "12 records stored" in capsys.readouterr().err  # events, hits and alerts
    assert main(["replay", str(recording), "--home", str(home), "--store"]) == 0
    assert "0 records stored, 12 were there already" in capsys.readouterr().err
