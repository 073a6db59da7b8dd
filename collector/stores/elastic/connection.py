"""The client: addresses with fail-over, TLS, credentials from files, and what each error means for the caller."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from elastic_transport import ConnectionError as Unreachable
from elastic_transport import TransportError
from elastic_transport.client_utils import DEFAULT
from elasticsearch import ApiError, Elasticsearch

from telemetry.errors import ConfigError, Permanent, Problem, Transient

PASSWORD_VARIABLE = "TENGWANG_ELASTIC_PASSWORD"  # the name of a variable, not a secret


class Connection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to reach the cluster."""

    urls: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Addresses of the nodes, such as https://[2001:db8::9]:9200", min_length=1),
    ] = ("http://127.0.0.1:9200",)
    ca_file: Annotated[str, msgspec.Meta(description="PEM file of the CA that signed the nodes' certificates")] = ""
    user: Annotated[str, msgspec.Meta(description="User name for basic authentication")] = ""
    password_file: Annotated[
        str, msgspec.Meta(description=f"File with the password, mode 0600; or set {PASSWORD_VARIABLE}")
    ] = ""
    api_key_file: Annotated[
        str, msgspec.Meta(description="File with an encoded API key, mode 0600, instead of user and password")
    ] = ""
    timeout_s: Annotated[float, msgspec.Meta(description="Longest wait for one answer, seconds", ge=1, le=600)] = 30.0


def client(config: Connection, home: Path) -> Elasticsearch:
    """A client, not yet connected. Raises ConfigError with everything that is wrong."""
    problems: list[Problem] = []

    def wrong(key: str, message: str, hint: str = "") -> None:
        problems.append(Problem("store", 0, key, message, hint))

    def secret(key: str, name: str) -> str:
        path = home / name
        try:
            if path.stat().st_mode & 0o077:
                wrong(key, f"{path} can be read by others", f"chmod 600 {path}")
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            wrong(key, f"{path} can not be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
            return ""

    password = secret("password_file", config.password_file) if config.password_file else ""
    password = password or os.environ.get(PASSWORD_VARIABLE, "")
    api_key = secret("api_key_file", config.api_key_file) if config.api_key_file else ""
    if config.user and not password and not config.password_file:
        wrong("user", "has no password", f"give password_file, or set {PASSWORD_VARIABLE}")
    if config.user and api_key:
        wrong("api_key_file", "is given beside user", "give one of the two")
    ca = str(home / config.ca_file) if config.ca_file else None
    if ca is not None and not Path(ca).is_file():
        wrong("ca_file", f"{ca} is not there")
    for url in config.urls:
        _check_url(url, bool(config.user or api_key), wrong_key=wrong)
    if problems:
        raise ConfigError(problems)
    secure = any(url.startswith("https:") for url in config.urls)
    return Elasticsearch(
        list(config.urls),
        basic_auth=(config.user, password) if config.user else None,
        api_key=api_key or None,
        ca_certs=ca if secure and ca else DEFAULT,
        request_timeout=config.timeout_s,
        max_retries=len(config.urls),
        retry_on_timeout=len(config.urls) > 1,
        retry_on_status=(502, 504),
    )


def _check_url(url: str, credentials: bool, wrong_key: Callable[[str, str, str], None]) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() or "an address"
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None:
        wrong_key("urls", f"{shown} is not an address with scheme and port", "such as https://[2001:db8::9]:9200")
    elif parts.username or parts.password:
        wrong_key("urls", f"{shown} holds credentials", "give user and password_file instead")
    elif parts.scheme == "http" and credentials and not _loopback(parts.hostname):
        wrong_key("urls", f"{shown} would carry the password in clear text", "use https")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Rejected(Exception):
    """Elasticsearch says that the request itself is wrong or too much: status and type of its error."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{kind}: {reason}")
        self.status = status
        self.kind = kind


class Busy(Transient):
    """Elasticsearch had no room for the request just now (status 429)."""


@contextlib.contextmanager
def errors_told() -> Iterator[None]:
    """Turn the client's errors into ``Transient``; what a repetition would not change into ``Rejected``."""
    try:
        yield
    except Unreachable as error:
        raise Transient(f"Elasticsearch can not be reached: {error.message}") from error
    except ApiError as error:
        kind, reason = told(error)
        if error.status_code == BUSY and kind not in LATER_KINDS:
            raise Busy(f"Elasticsearch is busy: {kind}: {reason}") from error
        if kind in LATER_KINDS or error.status_code in LATER_STATUS:
            raise Transient(f"Elasticsearch: {kind}: {reason}{advice(kind, error.status_code)}") from error
        raise Rejected(error.status_code, kind, reason) from error
    except TransportError as error:
        raise Transient(f"Elasticsearch: {error.message}") from error


BUSY = 429
LATER_STATUS = frozenset({401, 403, 408, 429, 500, 502, 503, 504})
LATER_KINDS = frozenset(
    {"cluster_block_exception", "unavailable_shards_exception", "no_shard_available_action_exception"}
)
TOO_MUCH = "too_many_buckets_exception"


def told(error: ApiError) -> tuple[str, str]:
    """Type and reason of the deepest cause that Elasticsearch names."""
    body = error.body if isinstance(error.body, dict) else {}
    held = body.get("error")
    if not isinstance(held, dict):
        return f"status {error.status_code}", str(held or error.message)[:500]
    causes = [held, *held.get("root_cause", ())]
    while isinstance(cause := causes[0].get("caused_by"), dict):
        causes.insert(0, cause)
    for shard in held.get("failed_shards", ()):
        causes.append(shard.get("reason", {}))
    for cause in causes:
        if cause.get("type") == TOO_MUCH:
            return TOO_MUCH, str(cause.get("reason"))[:500]
    return str(causes[-1].get("type")), str(causes[-1].get("reason"))[:500]


def advice(kind: str, status: int) -> str:
    """What a person can do about it."""
    if kind == "cluster_block_exception":
        return ": free disk space or remove the block (index.blocks.*); storing resumes by itself"
    if status in (401, 403):
        return ": check user, password_file or api_key_file and the user's rights"
    return ""


def refuse(error: Rejected) -> Permanent:
    return Permanent("bad_query", str(error))
