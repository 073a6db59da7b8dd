"""DNS as a measuring instrument: who was asked, over what, what came back and how long it took. By dnspython."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import msgspec

from telemetry.clock import Clock

MAX_RECORDS = 64
MAX_SERVERS = 4


class Answer(msgspec.Struct, frozen=True):
    """One answer. ``status``: ok, nodata, nxdomain, servfail, refused ..., timeout, unreachable, malformed, no_server.

    ``records`` are the texts of the records asked for, after any CNAME; ``owner`` is the name of the SOA in the
    authority section, which is the zone that knows nothing of the name; ``canonical`` the name at the end of CNAMEs.
    """

    status: str
    records: tuple[str, ...] = ()
    server: str = ""
    ms: float = 0.0
    authoritative: bool = False
    owner: str = ""
    canonical: str = ""

    @property
    def answered(self) -> bool:
        """The server told something about the name: it exists, has no such record, or does not exist."""
        return self.status in ("ok", "nodata", "nxdomain")


class Resolver:
    """Asks recursive servers in order, or one server that is named."""

    def __init__(self, servers: Sequence[str], clock: Clock, timeout: float = 3.0, port: int = 53) -> None:
        self.servers = tuple(servers)[:MAX_SERVERS]
        self.port = port
        self._clock = clock
        self._timeout = timeout

    async def lookup(self, name: str, kind: str) -> Answer:
        """The first recursive server's answer that tells anything; else the last failure."""
        answer = Answer("no_server")
        for server in self.servers:
            answer = await self.ask(server, name, kind, recursive=True)
            if answer.answered:
                break
        return answer

    async def ask(self, server: str, name: str, kind: str, tcp: bool = False, recursive: bool = False) -> Answer:
        """One question to one server address; a cut UDP answer is asked for again over TCP. Never raises."""
        started = self._clock.monotonic()
        try:
            query = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, payload=1232)
            if not recursive:
                query.flags &= ~dns.flags.RD
            if tcp:
                reply = await dns.asyncquery.tcp(query, server, self._timeout, self.port)
            else:
                reply, _ = await dns.asyncquery.udp_with_fallback(
                    query, server, self._timeout, self.port, ignore_unexpected=True, ignore_errors=True
                )
            made = _read(reply, kind)
        except dns.exception.Timeout:
            made = Answer("timeout")
        except OSError:
            made = Answer("unreachable")
        except (dns.exception.DNSException, EOFError, ValueError, UnicodeError):
            made = Answer("malformed")
        took = round((self._clock.monotonic() - started) * 1000, 2)
        return msgspec.structs.replace(made, server=server, ms=took)


def _read(reply: dns.message.Message, kind: str) -> Answer:
    """Raises DNSException where the answer does not belong to a question."""
    code = reply.rcode()
    owner = next((str(s.name) for s in reply.authority if s.rdtype == dns.rdatatype.SOA), "")
    authoritative = bool(reply.flags & dns.flags.AA)
    if code != dns.rcode.NOERROR:
        return Answer(dns.rcode.to_text(code).lower(), authoritative=authoritative, owner=owner)
    if not isinstance(reply, dns.message.QueryMessage):
        return Answer("malformed")
    chain = reply.resolve_chaining()
    canonical = chain.canonical_name.to_text(omit_final_dot=True).lower()
    if chain.answer is None or chain.answer.rdtype != dns.rdatatype.from_text(kind):
        return Answer("nodata", authoritative=authoritative, owner=owner, canonical=canonical)
    records = tuple(sorted(item.to_text() for item in chain.answer)[:MAX_RECORDS])
    return Answer("ok", records, authoritative=authoritative, owner=owner, canonical=canonical)


def a_label(domain: str) -> str:
    """The ASCII form of a name (``.政务`` is ``.xn--zfr164b``); a name that has none is left for DNS to refuse."""
    try:
        return domain.rstrip(".").encode("idna").decode().lower()
    except UnicodeError:
        return domain


def system_servers(root: Path) -> tuple[str, ...]:
    """The name servers of ``etc/resolv.conf``; none where it can not be read."""
    try:
        text = (root / "etc/resolv.conf").read_text(errors="replace")
    except OSError:
        return ()
    lines = [line.split() for line in text.splitlines()]
    return tuple(parts[1] for parts in lines if len(parts) > 1 and parts[0] == "nameserver")[:MAX_SERVERS]
