from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent import config, reference
from telemetry.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_without_a_file_everything_runs_with_its_defaults(tmp_path: Path) -> None:
    settings = config.load(tmp_path / "none.toml")
    assert tuple(given.name for given in settings.inputs) == config.DEFAULT_INPUTS
    assert settings.config.spool.max_mb == 512


def test_every_problem_is_told_at_once_with_its_line_and_a_hint(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """log_level = "loud"
[spool]
max_mb = 1
max_aeg_days = 3
[[inputs]]
type = "hots"
[[inputs]]
intervall = 5
[[inputs]]
type = "host"
intervall = 5
""",
    )
    with pytest.raises(ConfigError) as error:
        config.load(path)
    told = {(p.line, p.key) for p in error.value.problems}
    assert told == {
        (1, "log_level"), (3, "spool.max_mb"), (4, "spool.max_aeg_days"), (6, "type"), (7, "inputs[2].type"),
        (11, "inputs[3].intervall"),
    }  # fmt: skip
    assert "did you mean 'host'" in str(error.value)
    assert "did you mean 'max_age_days'" in str(error.value)


def test_the_same_input_twice_has_two_names(tmp_path: Path) -> None:
    settings = config.load(written(tmp_path, '[[inputs]]\ntype = "host"\n[[inputs]]\ntype = "host"\n'))
    assert [given.name for given in settings.inputs] == ["host", "host-2"]


@pytest.mark.parametrize("listen", ["[::]:9464", "0.0.0.0:9464", "192.0.2.1:9464", "9464", "[::1]:99999"])
def test_metrics_never_listen_beyond_loopback(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match=r"agent\.toml:1: metrics_listen"):
        config.load(written(tmp_path, f'metrics_listen = "{listen}"'))


def test_metrics_on_loopback_of_either_family(tmp_path: Path) -> None:
    for listen, parts in (("[::1]:9464", ("::1", 9464)), ("127.0.0.1:0", ("127.0.0.1", 0))):
        assert config.load(written(tmp_path, f'metrics_listen = "{listen}"')).config.metrics_listen == listen
        assert config.parse_listen(listen) == parts


def test_what_is_dumped_is_a_configuration_that_says_the_same(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'log_level = "debug"\n[spool]\nmax_mb = 64\n[uplink]\ncollectors = ["https://[::1]:1"]\n'
        '[[inputs]]\ntype = "host"\ninterval = 7.0\n[[inputs]]\ntype = "ndp"\n',
    )
    settings = config.load(path)
    text = reference.text(settings)
    again = config.load(written(tmp_path, text))
    assert (again.config.spool, again.config.uplink, again.config.log_level) == (
        settings.config.spool, settings.config.uplink, settings.config.log_level,
    )  # fmt: skip
    assert [(g.type, g.options) for g in again.inputs] == [(g.type, g.options) for g in settings.inputs]


def test_the_sample_is_all_comments_and_names_every_option(tmp_path: Path) -> None:
    text = reference.text()
    assert "inputs" not in tomllib.loads(text)
    assert text.startswith("# Configuration of the Tengwang agent")
    assert config.load(written(tmp_path, text)).config == config.Config()
    for option in ("max_mb", "flush_seconds", "linger_seconds", "metrics_listen", 'type = "snmp"'):
        assert option in text
    assert "max_mb" in reference.tables()
