"""A portal in a network namespace of its own: real BIND 9 and nginx on the standard ports, both families.

Everything stands on the namespace's loopback, so nothing leaves it. ``run`` runs a coroutine inside, in a thread that
entered the namespace: what it connects to is the portal, what it can not reach is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.parts import guard

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
_NUMBERS = itertools.count(1)
DOMAIN = "www.example.gov"
PORTAL, SECOND, DEAD = "2d00:200::10", "2d00:200::11", "2d00:200::dead"
NS1, NS2, NS_DEAD = "2d00:200::53", "2d00:200::54", "2d00:200::55"
V4, NS_V4 = "198.18.0.10", "198.18.0.53"
"""2d00::/8 is unallocated global unicast space, 198.18.0.0/15 is for benchmarks (RFC 2544)."""
ADDRESSES = (PORTAL, SECOND, DEAD, NS1, NS2, NS_DEAD)
NAMESERVERS = ("@ NS ns1", "@ NS ns2", f"ns1 AAAA {NS1}", f"ns2 AAAA {NS2}", f"ns1 A {NS_V4}")
GOOD = (*NAMESERVERS, f"www AAAA {PORTAL}", f"www A {V4}")
PAGE = "<html><head><title>某某局</title></head><body>" + "<p>公告</p>" * 200 + "</body></html>"


@dataclass(frozen=True)
class Portal:
    namespace: str
    home: Path

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run inside the namespace and return the result. A thread is enough: a namespace belongs to a thread."""
        done: Future[T] = Future()

        def inside() -> None:
            try:
                enter(self.namespace)
                done.set_result(asyncio.run(coroutine))
            except BaseException as error:  # noqa: BLE001 - handed to the waiting test
                done.set_exception(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return done.result()

    def page(self, text: str, folder: str = "html") -> None:
        (self.home / folder).mkdir(exist_ok=True)
        (self.home / folder / "index.html").write_text(text)


def enter(namespace: str) -> None:
    """Move the calling thread into a named namespace."""
    with open(f"/run/netns/{namespace}", "rb") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def server(listen: Sequence[str], root: str = "html", more: str = "", certificate: str = "one") -> str:
    """One nginx ``server`` block."""
    listens = " ".join(f"listen {where};" for where in listen)
    tls = f"ssl_certificate {certificate}.pem; ssl_certificate_key {certificate}.key;"
    return f"server {{ {listens} server_name {DOMAIN}; root {root}; {tls} {more} }}"


BOTH = server([f"[{PORTAL}]:80", f"[{PORTAL}]:443 ssl", f"{V4}:80", f"{V4}:443 ssl"])


@contextlib.contextmanager
def portal(home: Path, records: Sequence[str] = GOOD, servers: Sequence[str] = (BOTH,)) -> Iterator[Portal]:
    """Bring it up with these records in ``example.gov`` and these nginx servers; take it down at the end."""
    space = f"twp{os.getpid()}-{next(_NUMBERS)}"
    made = Portal(space, home)
    made.page(PAGE)
    _run("ip", "netns", "add", space)
    guarded = ["ip", "netns", "del", space]
    guard.at_end(guarded)
    processes = []
    try:
        commands = ["link set lo up", *(f"addr add {a}/128 dev lo nodad" for a in ADDRESSES)]
        commands += [f"addr add {a}/32 dev lo" for a in (V4, NS_V4)]
        subprocess.run(["ip", "-n", space, "-b", "-"], input="\n".join(commands), text=True, check=True)
        for name in ("one", "two"):
            _certificate(home, name)
        inside = ["ip", "netns", "exec", space]
        command = [*inside, "named", "-g", "-n", "1", "-c", _named(home, records)]
        processes.append(guard.start(command, home / "named.log"))
        if servers:
            command = [*inside, "nginx", "-e", "stderr", "-p", str(home), "-c", _nginx(home, servers)]
            processes.append(guard.start(command, home / "nginx.log"))
        _until(inside, home, bool(servers))
        yield made
    finally:
        for process in processes:
            guard.stop(process)
        _run(*guarded)
        guard.not_at_end(guarded)


def _named(home: Path, records: Sequence[str]) -> str:
    soa = "@ 2 IN SOA ns1 hostmaster ( 1 60 60 3600 1 )"
    (home / "example.zone").write_text("\n".join(["$TTL 2", "$ORIGIN example.gov.", soa, *records]) + "\n")
    listen = "".join(f"{a}; " for a in ("::1", NS1, NS2))
    config = home / "named.conf"
    config.write_text(
        f'options {{ directory "{home}"; pid-file none; session-keyfile none; managed-keys-directory "{home}"; '
        f"listen-on-v6 {{ {listen}}}; listen-on {{ {NS_V4}; 127.0.0.1; }}; recursion no; allow-query {{ any; }}; "
        "empty-zones-enable no; dnssec-validation no; }; controls {};\n"
        'zone "example.gov" { type primary; file "example.zone"; };\n'
    )
    return str(config)


def _nginx(home: Path, servers: Sequence[str]) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in kinds)
    config = home / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; pid {home}/nginx.pid; error_log stderr;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off; {temporary} types {{ text/html html; }} charset utf-8;\n"
        + "\n".join(servers)
        + "\n}\n"
    )
    return str(config)


def _certificate(home: Path, name: str) -> None:
    subject = ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}"]
    files = ["-keyout", str(home / f"{name}.key"), "-out", str(home / f"{name}.pem")]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    _run("openssl", "req", "-x509", "-nodes", "-days", "30", *kind, *subject, *files)


def _until(inside: Sequence[str], home: Path, web: bool) -> None:
    wanted = {f":{port}" for port in ((53, 80) if web else (53,))}
    for _ in range(100):
        shown = subprocess.run([*inside, "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
        dig = subprocess.run(
            [*inside, "dig", "+time=1", "+tries=1", "@::1", "example.gov", "SOA"], capture_output=True, text=True
        )
        if all(f"{port} " in shown for port in wanted) and "NOERROR" in dig.stdout:
            return
        time.sleep(0.1)
    logs = "".join(p.read_text()[-2000:] for p in home.glob("*.log"))
    raise RuntimeError(f"the portal did not come up:\n{logs}")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
