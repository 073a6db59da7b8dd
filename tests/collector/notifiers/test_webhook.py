"""The webhook against a real HTTP(S) server, over IPv6: signed, idempotent, and bounded whatever the target does."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.notifier import Message, NotifierContext
from collector.notifiers import webhook
from collector.notifiers.webhook import Config
from telemetry.errors import ConfigError, Permanent, Transient
from tests.parts import webhook_sink

Keep = Callable[..., str]


def test_it_posts_json_over_https_and_ipv6_signed_and_with_a_stable_key(
    context: NotifierContext, message: Message, pki: tuple[Path, Path], keep: Keep
) -> None:
    with webhook_sink.start("::1", pki[1]) as sink:
        config = Config(
            url=sink.url, ca_file=str(pki[0]), secret_file=keep("key", "k" * 32), bearer_file=keep("bearer", "token")
        )
        made = webhook.build(config, context)
        made.notify(message)
        made.notify(message)
        first, second = sink.wait(2)
    assert first.json()["text"] == message.text
    assert first.json()["data"] == {"rule": "ndp-rogue", "count": 3}
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == message.id
    assert first.headers["Authorization"] == "Bearer token"
    at, signature = (part.partition("=")[2] for part in first.headers["Tengwang-Signature"].split(","))
    assert signature == hmac.new(b"k" * 32, f"{at}.".encode() + first.body, hashlib.sha256).hexdigest()


def test_a_target_whose_certificate_is_not_known_gets_nothing(
    context: NotifierContext, message: Message, pki: tuple[Path, Path]
) -> None:
    with webhook_sink.start("::1", pki[1]) as sink:
        with pytest.raises(Transient, match="certificate"):
            webhook.build(Config(url=sink.url), context).notify(message)
        assert sink.posted == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_tried_again(context: NotifierContext, message: Message, status: int) -> None:
    with webhook_sink.start() as sink:
        sink.statuses = [status]
        made = webhook.build(Config(url=sink.url), context)
        with pytest.raises(Transient, match=str(status)):
            made.notify(message)
        made.notify(message)


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 410])
def test_what_will_not_pass_is_final_and_redirects_are_not_followed(
    context: NotifierContext, message: Message, status: int
) -> None:
    with webhook_sink.start("127.0.0.1") as sink:
        sink.statuses = [status]
        with pytest.raises(Permanent, match=str(status)):
            webhook.build(Config(url=sink.url), context).notify(message)
        assert len(sink.posted) == 1


def test_a_target_that_is_down_is_transient(context: NotifierContext, message: Message) -> None:
    with webhook_sink.start() as sink:
        url = sink.url
    with pytest.raises(Transient):
        webhook.build(Config(url=url), context).notify(message)


@pytest.mark.parametrize("babble", [b"\x00\xff" * 40_000, b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 9" * 9_000, b" \r\n\r\n"])
def test_garbage_is_transient(context: NotifierContext, message: Message, babble: bytes) -> None:
    with webhook_sink.start() as sink:
        sink.babble = babble
        with pytest.raises(Transient):
            webhook.build(Config(url=sink.url), context).notify(message)


def test_a_slow_target_and_one_that_drips_cost_no_more_than_the_timeout(
    context: NotifierContext, message: Message
) -> None:
    with webhook_sink.start() as sink:
        made = webhook.build(Config(url=sink.url, timeout_s=1), context)
        sink.drip = True
        begin = time.monotonic()
        with pytest.raises(Transient):
            made.notify(message)
        assert time.monotonic() - begin < 4
        sink.drip, sink.delay_s = False, 3
        begin = time.monotonic()
        with pytest.raises(Transient):
            made.notify(message)
        assert time.monotonic() - begin < 2.9


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://example.org/hook", "https:///path", "nonsense"])
def test_a_url_that_can_not_be_used_is_said_at_the_start(context: NotifierContext, url: str) -> None:
    with pytest.raises(ConfigError):
        webhook.build(Config(url=url), context)


def test_a_secret_that_others_can_read_is_refused(context: NotifierContext, keep: Keep) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        webhook.build(Config(url="https://x/", secret_file=keep("open", "k", 0o644)), context)
    with pytest.raises(ConfigError, match="can not be read"):
        webhook.build(Config(url="https://x/", secret_file="nowhere"), context)
