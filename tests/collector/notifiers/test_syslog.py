"""Syslog against a real receiver over IPv6: the line of RFC 5424, each transport, and a receiver that is away."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.notifier import Message, NotifierContext, Recipient
from collector.notifiers import syslog
from collector.notifiers.syslog import Config
from telemetry.clock import ManualClock
from telemetry.errors import Transient
from telemetry.report import Report
from tests.parts import syslog_sink

LINE = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]+ tengwang - page "
    rb'\[page@32473( [a-z_]{1,32}="(\\["\\\]]|[^"\\\]])*")+\] '
    rb"\xef\xbb\xbf[^\n]*",
    re.DOTALL,
)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_line_arrives_over_ipv6(
    context: NotifierContext, message: Message, pki: tuple[Path, Path], transport: str
) -> None:
    with syslog_sink.start(transport, "::1", pki[1] if transport == "tls" else None) as receiver:
        config = msgspec.convert(
            {"host": "::1", "port": receiver.port, "transport": transport, "ca_file": str(pki[0])}, Config
        )
        made = syslog.build(config, context)
        made.notify(message)
        made.notify(message)
        first, second = receiver.wait(2)
    assert first == second
    found = LINE.fullmatch(first)
    assert found is not None
    assert int(found[1]) == 16 * 8 + 3
    assert f'id="{message.id}"'.encode() in first
    assert "检测到未登记的路由器通告".encode() in first


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_receiver_that_is_away_is_transient(context: NotifierContext, message: Message, transport: str) -> None:
    with syslog_sink.start("tcp") as receiver:
        port = receiver.port
    config = msgspec.convert({"host": "::1", "port": port, "transport": transport, "timeout_s": 2}, Config)
    with pytest.raises(Transient):
        syslog.build(config, context).notify(message)


def test_a_receiver_that_speaks_no_tls_is_transient(context: NotifierContext, message: Message) -> None:
    with syslog_sink.start("tcp") as receiver:
        config = Config(host="::1", port=receiver.port, timeout_s=2)
        with pytest.raises(Transient):
            syslog.build(config, context).notify(message)


@given(st.text(max_size=200), st.text(max_size=50), st.dictionaries(st.text(max_size=10), st.text(max_size=300)))
def test_whatever_a_message_says_it_stays_one_well_formed_line(text: str, person: str, data: dict[str, str]) -> None:
    clock = ManualClock()
    made = syslog.build(Config(), NotifierContext(Path("/"), clock, Report(clock)))
    given_data: dict[str, str | int] = {**data}
    line = made.line(Message(id="1", to=Recipient(person, "x"), subject="", text=text, data=given_data))
    assert LINE.fullmatch(line)
