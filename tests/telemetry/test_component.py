from __future__ import annotations

import pytest

from telemetry import component
from telemetry.errors import ConfigError


def test_an_unknown_name_gets_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError) as caught:
        component.load("telemetry", "clok", "agent.toml", 7)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("agent.toml", 7)
    assert problem.hint == "did you mean 'clock'?"


def test_a_known_name_is_imported() -> None:
    assert component.load("telemetry", "clock").__name__ == "telemetry.clock"
