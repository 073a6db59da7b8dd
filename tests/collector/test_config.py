from __future__ import annotations

from pathlib import Path

import pytest

from collector import reference
from collector.config import CollectorConfig, address, load
from collector.home import Home
from collector.starting import read_config
from telemetry.config import convert, read_toml
from telemetry.errors import ConfigError


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [str(problem) for problem in caught.value.problems]


def test_no_file_is_needed() -> None:
    config = load(None)
    assert all(address(text).loopback for text in (*config.console.listen, *config.agents.listen))


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path / "tengwang.toml",
        """
[console]
listne = ["localhost:1"]
[agents]
certificate_days = 0
[limits]
queue_bytes = "big"
[store]
type = "sqllite"
[[enrichers]]
type = "inventory"
colour = 1
""",
    )
    text = "\n".join(found)
    assert ":3: console.listne: unknown key (did you mean 'listen'?)" in text
    assert ":5: agents.certificate_days" in text
    assert ":7: limits.queue_bytes" in text
    assert ":9:" in text
    assert "did you mean 'sqlite'?" in text
    assert ":12: enrichers[1].colour: unknown key" in text
    assert len(found) == 5


@pytest.mark.parametrize("listen", ["[::]:8740", "0.0.0.0:8740", "192.0.2.1:80", "example.org:80"])
def test_the_console_is_not_served_beyond_loopback_without_tls(tmp_path: Path, listen: str) -> None:
    path = tmp_path / "tengwang.toml"
    (found,) = problems(path, f'[console]\nlisten = ["{listen}"]\n')
    assert "needs TLS: write tls = true" in found
    path.write_text(f'[console]\nlisten = ["{listen}"]\ntls = true\n')
    assert load(path).console.tls


def test_the_command_line_is_held_to_the_same_rule(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs TLS"):
        read_config(Home(tmp_path), None, ["[::]:8740"], None)
    config = read_config(Home(tmp_path), None, ["[::1]:1"], ["[::]:2"])
    assert (config.console.listen, config.agents.listen) == (("[::1]:1",), ("[::]:2",))


@pytest.mark.parametrize("text", ["", "8740", "::1:8740", "host:", ":80", "host:99999", "host:http"])
def test_an_address_that_is_none_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"host:port|brackets"):
        address(text)


@pytest.mark.parametrize(
    ("text", "host", "loopback"),
    [
        ("[::1]:1", "::1", True),
        ("127.0.0.9:1", "127.0.0.9", True),
        ("localhost:1", "localhost", True),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", False),
        ("[2001:db8::1]:1", "2001:db8::1", False),
    ],
)
def test_addresses(text: str, host: str, loopback: bool) -> None:
    found = address(text)
    assert (found.host, found.port, found.loopback, str(found)) == (host, 1, loopback, text)


def test_a_file_that_is_not_there_is_an_error_and_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tengwang dump-config"):
        read_config(Home(tmp_path), tmp_path / "none.toml")


def test_what_dump_config_prints_is_a_configuration_again(tmp_path: Path) -> None:
    path = tmp_path / "tengwang.toml"
    path.write_text('[console]\nlisten = ["[::1]:1"]\n[store]\ntype = "sqlite"\nretention_days = 365\n')
    config = load(path)
    again = tmp_path / "again.toml"
    again.write_text(reference.text(config), encoding="utf-8")
    assert load(again) == config


def test_the_sample_shows_every_option_as_its_default() -> None:
    text = reference.text()
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    start = lines.index("[console]")
    end = next(i for i, line in enumerate(lines) if line.startswith("Options of [store]"))
    options = "\n".join(line for line in lines[start:end] if "=" in line.split(" ")[1:2] or line.startswith("["))
    document = read_toml("sample", options)
    config, found = convert(document, document.data, CollectorConfig)
    assert found == []
    assert config == CollectorConfig()


def test_secrets_are_not_shown() -> None:
    shown = reference.hidden({"store": {"type": "x", "password": "pw", "urls": ["a"]}, "list": [{"token": "t"}]})
    assert shown == {"store": {"type": "x", "password": "***", "urls": ["a"]}, "list": [{"token": "***"}]}
