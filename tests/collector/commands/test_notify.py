"""``tengwang notify``: a test message through real servers, and what is said where one does not take it."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.main import main
from tests.collector.inventory_text import RIGHT
from tests.collector.paging_parts import DUTY
from tests.parts import smtpd, webhook_sink


def home(folder: Path, config: str) -> list[str]:
    (folder / "inventory").mkdir()
    (folder / "inventory" / "all.yml").write_text(RIGHT, encoding="utf-8")
    (folder / "inventory" / "duty.yml").write_text(DUTY, encoding="utf-8")
    (folder / "collector").mkdir()
    (folder / "collector" / "tengwang.toml").write_text(config, encoding="utf-8")
    return ["--home", str(folder)]


def test_a_test_message_goes_by_every_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with webhook_sink.start() as sink, smtpd.start() as box:
        config = (
            f'[[notifiers]]\ntype = "webhook"\nname = "bot"\nurl = "{sink.url}"\n'
            f'[[notifiers]]\ntype = "smtp"\nhost = "::1"\nport = {box.port}\nsecurity = "none"\n'
        )
        at = home(tmp_path, config)
        assert main(["notify", "test", "--person", "li", *at]) == 0
        assert sink.posted[0].json()["text"] == "【滕网】测试消息，无需处理。"
        assert box.mails[0]["To"] == "li@example.gov.cn"
        capsys.readouterr()
        assert main(["notify", "channels", *at]) == 0
        assert capsys.readouterr().out.split() == ["bot", "webhook", "smtp", "smtp"]


def test_what_did_not_take_it_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with webhook_sink.start() as sink:
        sink.statuses = [403]
        at = home(tmp_path, f'[[notifiers]]\ntype = "webhook"\nname = "bot"\nurl = "{sink.url}"\n')
        assert main(["notify", "test", "--person", "li", "--channel", "bot", *at]) == 1
        assert "bot: refused: the target answered 403" in capsys.readouterr().err
        assert main(["notify", "test", "--person", "li", "--channel", "sms", *at]) == 1
        assert "there is no such notifier; known: bot" in capsys.readouterr().err


def test_who_is_not_in_the_inventory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = home(tmp_path, "")
    assert main(["notify", "test", "--person", "ghost", *at]) != 0
    assert "no person 'ghost'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ('[[notifiers]]\ntype = "pigeon"\n', "there is no collector.notifiers named 'pigeon'"),
        ('[[notifiers]]\ntype = "smtp"\nprot = 25\n', "unknown key (did you mean 'port'?)"),
        ('[[notifiers]]\ntype = "smtp"\n[[notifiers]]\ntype = "smtp"\n', "'smtp' is there twice (give it a name)"),
        ('[paging]\nbase_url = "soc.example"\n', "base_url"),
        ('[paging]\nlevel = "loud"\n', "level"),
    ],
)
def test_mistakes_in_the_configuration_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, wanted: str
) -> None:
    assert main(["notify", "channels", *home(tmp_path, config)]) == 2
    assert wanted in capsys.readouterr().err
