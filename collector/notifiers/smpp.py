"""A page as a short message over SMPP 3.4: an operator's gateway, an SMS platform, or kannel with a modem.

One session (bind_transceiver) is kept while there is something to send or a receipt to wait for; it is bound again
when it breaks, and asked by enquire_link whether it lives. Text goes as UCS-2, the one coding that every gateway
knows and that has Chinese; longer texts go in parts (3GPP TS 23.040, 9.2.3.24.1) whose reference is made of the
message's id, so the parts of a repeat fit those of the first try. Parts that were taken are not sent again.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from typing import Annotated, Any, Literal

from msgspec import Meta
from smpplib import consts

from collector.notifier import Channel, Message, NotifierContext, Receipt, Sent
from collector.secret_file import secret
from collector.smpp_session import Session
from collector.smpp_text import digits, parts, receipt_of
from collector.tls_client import tls_context
from telemetry.errors import ConfigError, Permanent, Transient

REMEMBERED = 256
FINAL = frozenset(
    {
        consts.SMPP_ESME_RINVMSGLEN,
        consts.SMPP_ESME_RINVSRCADR,
        consts.SMPP_ESME_RINVDSTADR,
        consts.SMPP_ESME_RINVSRCTON,
        consts.SMPP_ESME_RINVSRCNPI,
        consts.SMPP_ESME_RINVDSTTON,
        consts.SMPP_ESME_RINVDSTNPI,
        consts.SMPP_ESME_RX_P_APPN,
        consts.SMPP_ESME_RX_R_APPN,
    }
)
"""What the same message would meet again; everything else may pass another time."""


class Config(Channel, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of the notifier ``smpp``."""

    host: Annotated[str, Meta(description="SMSC or gateway, a name or an address", max_length=253)] = "localhost"
    port: Annotated[int, Meta(description="its port: 2775 by custom, 3550 with TLS", ge=1, le=65535)] = 2775
    security: Annotated[Literal["tls", "none"], Meta(description="tls, or none on a line of its own")] = "none"
    ca_file: Annotated[str, Meta(description="PEM file of the gateway's CA; empty: those of the system")] = ""
    user: Annotated[str, Meta(description="system_id", max_length=15)] = ""
    password_file: Annotated[str, Meta(description="file with the password, mode 0600")] = ""
    system_type: Annotated[str, Meta(description="system_type, where the gateway wants one", max_length=12)] = ""
    source: Annotated[
        str, Meta(description="number or name that messages are from", pattern=r"^[0-9A-Za-z ]{0,20}\Z")
    ] = ""
    country: Annotated[
        str, Meta(description="country code to put before national numbers, e.g. 86", pattern=r"^[0-9]{0,4}\Z")
    ] = ""
    receipts: Annotated[bool, Meta(description="ask for delivery receipts; without one it falls back")] = True
    enquire_s: Annotated[float, Meta(description="pause between enquire_link, in seconds", ge=1, le=600)] = 30.0


class Smpp:
    def __init__(self, config: Config, context: NotifierContext) -> None:
        if not config.host:
            raise ConfigError.one("notifiers: smpp: host", "is empty")
        self._config = config
        self._context = context
        self._password = secret(context.home, config.password_file, "password_file")
        self._tls = None
        if config.security == "tls":
            self._tls = tls_context(str(context.home / config.ca_file) if config.ca_file else "")
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._taken: collections.OrderedDict[str, dict[int, str]] = collections.OrderedDict()

    def notify(self, message: Message) -> Sent:
        number, international = digits(message.to.phone, self._config.country)
        if not number:
            raise Permanent("no_phone", f"{message.to.person} has no phone number in the inventory")
        pieces = parts(message.text, message.id)
        with self._lock:
            taken = self._taken.setdefault(message.id, {})
            self._taken.move_to_end(message.id)
            while len(self._taken) > REMEMBERED:
                self._taken.popitem(last=False)
            session = self._bound()
            for index, piece in enumerate(pieces):
                if index not in taken:
                    taken[index] = self._submit(session, number, international, piece, len(pieces) > 1)
        receipts = tuple(taken[index] for index in sorted(taken)) if self._config.receipts else ()
        return Sent(tuple(filter(None, receipts)), len(pieces))

    def close(self) -> None:
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _bound(self) -> Session:
        if self._session is not None and self._session.alive:
            return self._session
        if self._session is not None:
            self._session.close()
        config = self._config
        self._session = Session(
            host=config.host,
            port=config.port,
            tls=self._tls,
            timeout_s=config.timeout_s / 3,
            enquire_s=config.enquire_s,
            clock=self._context.clock,
            delivered=self._delivered,
            bind={"system_id": config.user, "password": self._password, "system_type": config.system_type},
        )
        self._session.bind()
        self._context.report.count("tengwang_smpp_binds_total")
        return self._session

    def _submit(self, session: Session, number: str, international: bool, piece: bytes, several: bool) -> str:
        source = self._config.source
        status, receipt = session.submit(
            source_addr_ton=consts.SMPP_TON_UNK if source.isdecimal() or not source else consts.SMPP_TON_ALNUM,
            source_addr_npi=consts.SMPP_NPI_ISDN if source.isdecimal() else consts.SMPP_NPI_UNK,
            source_addr=source,
            dest_addr_ton=consts.SMPP_TON_INTL if international else consts.SMPP_TON_UNK,
            dest_addr_npi=consts.SMPP_NPI_ISDN,
            destination_addr=number,
            data_coding=consts.SMPP_ENCODING_ISO10646,
            esm_class=consts.SMPP_GSMFEAT_UDHI if several else consts.SMPP_MSGMODE_DEFAULT,
            registered_delivery=bool(self._config.receipts),
            short_message=piece,
        )
        if status == consts.SMPP_ESME_ROK:
            return receipt
        told = f"the gateway answered 0x{status:08x} {consts.DESCRIPTIONS.get(status, '')}".rstrip()
        if status in FINAL:
            raise Permanent("refused", told)
        raise Transient(told)

    def _delivered(self, pdu: Any) -> None:
        """A deliver_sm: a receipt, or a message from a phone, which nobody here reads."""
        with contextlib.suppress(Exception):
            found = receipt_of(
                bytes(pdu.short_message or b""),
                str(pdu.receipted_message_id or ""),
                pdu.message_state if isinstance(pdu.message_state, int) else None,
                int(pdu.esm_class or 0),
            )
            if found is not None:
                self._context.receipt(Receipt(*found))


def build(config: Config, context: NotifierContext) -> Smpp:
    return Smpp(config, context)
