"""Where a secret may stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import secret
from telemetry.errors import ConfigError


def test_as_it_is_in_a_file_or_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret word\n")
    assert secret.read("plain:text") == "plain:text"
    assert secret.read(f"file:{tmp_path / 'key'}") == "s3cret word"
    assert secret.read("env:KEY", {"KEY": "value"}) == "value"
    assert secret.read("") == ""


def test_where_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00topsecret")
    for text in (f"file:{tmp_path / 'none'}", f"file:{tmp_path}", f"file:{tmp_path / 'binary'}", "env:NONE"):
        with pytest.raises(ConfigError) as error:
            secret.read(text, {})
        assert "topsecret" not in str(error.value)
