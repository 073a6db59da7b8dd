"""Apprise against a real HTTP server (its own json:// service), over IPv6."""

from __future__ import annotations

import time

import msgspec
import pytest

from collector.notifier import Message, NotifierContext, Recipient
from collector.notifiers import apprise
from collector.notifiers.apprise import Config
from telemetry.errors import ConfigError, Permanent, Transient
from tests.parts import webhook_sink


def url(sink: webhook_sink.Sink) -> str:
    return sink.url.replace("http://", "json://") + "/{phone}/{person}"


def test_a_page_goes_out_with_the_persons_own_data(context: NotifierContext, message: Message) -> None:
    with webhook_sink.start("::1") as sink:
        apprise.build(Config(url=url(sink)), context).notify(message)
        (posted,) = sink.wait(1)
    assert posted.path == "/page/13800000001/li"
    assert posted.json()["message"] == message.text
    assert posted.json()["type"] == "failure"


def test_who_lacks_what_the_url_needs_falls_back(context: NotifierContext, message: Message) -> None:
    made = apprise.build(Config(url="json://[::1]:1/{email}"), context)
    with pytest.raises(Permanent, match="no email"):
        made.notify(msgspec.structs.replace(message, to=Recipient("x", "x", "1")))


def test_a_service_that_refuses_or_is_away_is_transient(context: NotifierContext, message: Message) -> None:
    with webhook_sink.start("::1") as sink:
        sink.statuses = [500]
        made = apprise.build(Config(url=url(sink)), context)
        with pytest.raises(Transient):
            made.notify(message)
    with pytest.raises(Transient):
        made.notify(message)


def test_a_service_that_hangs_costs_no_more_than_the_timeout(context: NotifierContext, message: Message) -> None:
    with webhook_sink.start("::1") as sink:
        sink.delay_s = 3
        made = apprise.build(Config(url=url(sink), timeout_s=1), context)
        begin = time.monotonic()
        with pytest.raises(Transient, match="no answer"):
            made.notify(message)
        assert time.monotonic() - begin < 2.5
        with pytest.raises(Transient, match="not ended"):
            made.notify(message)
        time.sleep(3)


def test_a_url_that_apprise_does_not_know(context: NotifierContext) -> None:
    for bad in ("", "nonsense", "unheardof://x"):
        with pytest.raises(ConfigError, match="does not know"):
            apprise.build(Config(url=bad), context)
