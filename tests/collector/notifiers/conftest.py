"""What the notifiers' tests share: a context, a message, a certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.notifier import Message, NotifierContext, Receipt, Recipient
from telemetry.clock import SystemClock
from telemetry.report import Report
from tests.parts import certificate

TEXT = "【滕网】高 示例局：检测到未登记的路由器通告 11-26 16:30\nhttps://soc.example.gov.cn/h/AAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def receipts() -> list[Receipt]:
    return []


@pytest.fixture
def context(tmp_path: Path, receipts: list[Receipt]) -> NotifierContext:
    clock = SystemClock()
    return NotifierContext(tmp_path, clock, Report(clock), receipts.append)


@pytest.fixture
def message() -> Message:
    return Message(
        id="0123456789abcdef0123456789abcdef",
        to=Recipient("li", "李工", "13800000001", "li@example.gov.cn"),
        subject="【滕网】高 示例局：检测到未登记的路由器通告",
        text=TEXT,
        link="https://soc.example.gov.cn/h/AAAAAAAAAAAAAAAAAAAAAAAA",
        level="high",
        incident="a" * 24,
        created_ms=1_795_680_000_000,
        data={"rule": "ndp-rogue", "count": 3},
    )


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The CA's file, and the server's with its key; both for ::1 and 127.0.0.1."""
    return certificate.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def keep(tmp_path: Path):  # type: ignore[no-untyped-def]  # a small function
    def write(name: str, text: str, mode: int = 0o600) -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(mode)
        return name

    return write
