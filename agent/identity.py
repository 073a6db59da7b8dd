"""Who this agent is: the files that enrolment leaves in ``identity/``, read back and held against this host."""

from __future__ import annotations

from pathlib import Path

import msgspec

from agent.home import Home, write_private
from telemetry.enrol import Host, Identity
from telemetry.errors import ConfigError

RECORD, KEY, CA = "identity.json", "key.pem", "ca.pem"


class Enrolled(msgspec.Struct, frozen=True):
    """``host`` is the one that enrolled. ``issued_ms`` is by this host's clock, ``not_after_ms`` by the collector's."""

    agent: str
    name: str
    unit: str
    host: Host
    collectors: tuple[str, ...]
    issued_ms: int
    not_after_ms: int

    @property
    def renew_at_ms(self) -> int:
        """Half of the certificate's life is over."""
        return self.issued_ms + max(0, self.not_after_ms - self.issued_ms) // 2


def save(home: Home, key: bytes, enrolled: Enrolled, issued: Identity) -> None:
    """Replace the identity. The key and the certificate are one file to the reader, so no crash can mix two of them."""
    home.make()
    write_private(home.identity / CA, issued.ca.encode())
    write_private(home.identity / KEY, key + b"\n" + issued.certificate.encode())
    write_private(home.identity / RECORD, msgspec.json.format(msgspec.json.encode(enrolled), indent=2))


def read(home: Home) -> Enrolled:
    """Raises ConfigError where this agent is not enrolled."""
    path = home.identity / RECORD
    hint = "on the collector: tengwang token create --enrol --unit UNIT; here: tengwang-agent enrol URL --token TOKEN"
    try:
        enrolled = msgspec.json.decode(path.read_bytes(), type=Enrolled)
    except FileNotFoundError:
        raise ConfigError.one(str(home.path), "this agent is not enrolled", hint) from None
    except OSError as error:
        raise ConfigError.one(str(path), f"can not be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise ConfigError.one(str(path), f"is damaged: {error}", hint) from error
    for name in (KEY, CA):
        if not (home.identity / name).is_file():
            raise ConfigError.one(str(home.identity / name), "is missing", hint)
    return enrolled


def key_file(home: Home) -> Path:
    """Key and certificate, as ``ssl.SSLContext.load_cert_chain`` reads them."""
    return home.identity / KEY


def check_host(enrolled: Enrolled, now: Host, home: Home) -> None:
    """Refuse a copied disk: raises ConfigError where the identity was made on another host."""
    then = enrolled.host
    other_board = then.product_uuid and now.product_uuid and then.product_uuid != now.product_uuid
    if then.same_as(now) and not other_board:
        return
    differs = (
        "its machine id is another" if then.machine_id != now.machine_id
        else "its product UUID is another" if other_board
        else f"none of its MAC addresses was there ({', '.join(then.macs) or then.name})"
    )  # fmt: skip
    message = (
        f"this identity (agent {enrolled.agent}) was made on another host, {then.name!r}; of this one, {now.name!r}, "
        f"{differs}. This disk was cloned, or the network cards were replaced"
    )
    hint = (
        f"run: tengwang-agent enrol URL --token TOKEN --home {home.path}; "
        "the original keeps its identity, this host gets one of its own (on new cards: the same again)"
    )
    raise ConfigError.one(str(home.identity), message, hint)
