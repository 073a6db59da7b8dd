"""A page through Apprise, which knows a hundred services: ntfy, Gotify, Mattermost, Matrix, DingTalk, Feishu, WeCom ...

``{phone}``, ``{email}`` and ``{person}`` in a URL become the person's own. On a network without internet use those
that have a server of one's own.
"""

from __future__ import annotations

import queue
import re
import threading
import warnings
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta

from collector.notifier import Channel, Message, NotifierContext, Sent
from collector.secret_file import secret
from telemetry.errors import ConfigError, Permanent, Transient

KINDS = {"critical": "failure", "high": "failure", "medium": "warning", "low": "info", "informational": "info"}
PLACES = ("phone", "email", "person")


class Config(Channel, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the notifier ``apprise``."""

    url: Annotated[str, Meta(description="Apprise URL, e.g. ntfys://host/topic; {phone} {email} {person} fill in")] = ""
    url_file: Annotated[str, Meta(description="file with the URL instead, mode 0600: many hold a token")] = ""


class Apprise:
    def __init__(self, config: Config, context: NotifierContext) -> None:
        import apprise

        self._apprise = apprise
        self._url = secret(context.home, config.url_file, "url_file") or config.url
        self._timeout_s = config.timeout_s
        self._busy = threading.Lock()
        with warnings.catch_warnings():  # some of its hundred plug-ins use what Python is about to drop
            warnings.simplefilter("ignore", DeprecationWarning)
            known = apprise.Apprise.instantiate(self._filled(None), suppress_exceptions=True)
        if known is None:
            raise ConfigError.one("notifiers: apprise: url", "Apprise does not know such a URL", "see its wiki")

    def notify(self, message: Message) -> Sent:
        target = self._apprise.Apprise.instantiate(self._filled(message), suppress_exceptions=True)
        if target is None:
            raise Permanent("bad_url", "Apprise can not use the URL with this person's data")
        if not self._busy.acquire(blocking=False):
            raise Transient("the message before has not ended")
        done: queue.Queue[bool] = queue.Queue(1)

        def send() -> None:
            try:
                done.put(bool(self._send(target, message)))
            except Exception:  # noqa: BLE001 - whatever a service's plug-in raises, the page goes on
                done.put(False)
            finally:
                self._busy.release()

        threading.Thread(target=send, name="apprise", daemon=True).start()
        try:
            taken = done.get(timeout=self._timeout_s)
        except queue.Empty as error:
            raise Transient(f"no answer in {self._timeout_s:g} s") from error
        if not taken:
            raise Transient("the service did not take it")
        return Sent()

    def close(self) -> None:
        """Nothing is kept open."""

    @staticmethod
    def _send(target: Any, message: Message) -> object:
        return target.notify(body=message.text, title=message.subject, notify_type=KINDS.get(message.level, "info"))

    def _filled(self, message: Message | None) -> str:
        def value(found: re.Match[str]) -> str:
            name = found[1]
            own = str(getattr(message.to, name)) if message is not None else "13800000000"
            if not own:
                raise Permanent("no_address", f"the person has no {name} in the inventory")
            return quote(own, safe="@+")

        return re.sub(r"\{(" + "|".join(PLACES) + r")\}", value, self._url)


def build(config: Config, context: NotifierContext) -> Apprise:
    return Apprise(config, context)
