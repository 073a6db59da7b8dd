from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import config
from telemetry.errors import ConfigError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="a port, 1 to 65535")]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    interval: Annotated[float, msgspec.Meta(gt=0)] = 15.0


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    port: Port = 9417
    inputs: tuple[Input, ...] = ()
    collectors: tuple[str, ...] = ()


WRONG = """\
prot = 5
port = 70000
collectors = ["https://[::1]:9417", 7]

[[inputs]]
type = "host"

[[inputs]]
intervall = 3
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_right_file_becomes_a_frozen_struct(tmp_path: Path) -> None:
    path = write(tmp_path, "agent.toml", 'name = "a"\n[[inputs]]\ntype = "host"\ninterval = 5\n')
    assert config.load(path, Agent) == Agent(name="a", inputs=(Input(type="host", interval=5.0),))


def test_every_problem_is_named_at_once_with_its_line_and_a_hint(tmp_path: Path) -> None:
    path = write(tmp_path, "agent.toml", WRONG)
    with pytest.raises(ConfigError) as caught:
        config.load(path, Agent)
    found = {(p.line, p.key): p for p in caught.value.problems}
    assert found[1, "prot"].hint == "did you mean 'port'?"
    assert "<= 65535" in found[2, "port"].message
    assert found[2, "port"].hint == "a port, 1 to 65535"
    assert found[3, "collectors"].message
    assert found[9, "inputs[2].intervall"].hint == "did you mean 'interval'?"
    assert (8, "inputs[2].type") in found
    assert (1, "name") in found
    assert str(path) + ":2: port:" in str(caught.value)


def test_yaml_names_lines_too(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yml", "name: a\ninputs:\n  - type: host\n  - type: snmp\n    interval: 0\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, Agent)
    assert [(p.line, p.key) for p in caught.value.problems] == [(5, "inputs[2].interval")]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("a.toml", "name = 'a'\nname = [", 2), ("a.yml", "name: a\n  b: [", 2), ("a.yml", "a: &x *x", 0)],
)
def test_a_file_that_is_not_well_formed_is_one_clear_problem(tmp_path: Path, name: str, text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load(write(tmp_path, name, text), Agent)
    assert len(caught.value.problems) >= 1
    assert caught.value.problems[0].line >= line


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can not be read"):
        config.load(tmp_path / "none.toml", Agent)
    path = tmp_path / "binary.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path, Agent)


@given(st.text(max_size=300))
def test_any_text_gives_a_struct_or_config_error(text: str) -> None:
    for read in (config.read_toml, config.read_yaml):
        try:
            document = read("x", text)
        except ConfigError:
            continue
        value, problems = config.convert(document, document.data, Agent)
        assert (value is None) == bool(problems)


def test_lines_of_tables_inside_arrays_of_tables() -> None:
    text = '[[a]]\nx = 1\n[a.b]\ny = 2\n[[a]]\n[[a.c]]\nz = 3\n[q."w.e"]\n"r.t" = 4\n'
    lines = config.toml_lines(text)
    assert lines["a", 0, "b", "y"] == 4
    assert lines["a", 1, "c", 0, "z"] == 7
    assert lines["q", "w.e", "r.t"] == 9
