"""Bind the sockets of a listener, and say clearly what to do where that fails."""

from __future__ import annotations

import contextlib
import errno
import socket

from collector.config import Address, address
from telemetry.errors import ConfigError

LOOPBACK = ("::1", "127.0.0.1")


def bind(texts: tuple[str, ...], option: str) -> list[socket.socket]:
    """Bound sockets, not yet listening. ``localhost`` is each loopback address there is, all on one port.

    Raises ConfigError with what to do: a port in use, an address that this host does not have, a privileged port.
    ``option`` is the one that moves the port.
    """
    found: list[socket.socket] = []
    try:
        for text in texts:
            where = address(text)
            found.extend(_loopback(where, option) if where.host == "localhost" else [_bind(where, option)])
    except BaseException:
        for bound in found:
            bound.close()
        raise
    return found


def url(bound: socket.socket, tls: bool, host: str = "") -> str:
    """The base URL of a socket; a wildcard address becomes ``host``."""
    name = str(bound.getsockname()[0]).partition("%")[0]
    if name in ("::", "0.0.0.0"):  # noqa: S104 - compared, not bound
        name = host or socket.gethostname()
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if tls else 'http'}://{shown}:{bound.getsockname()[1]}"


def _loopback(where: Address, option: str) -> list[socket.socket]:
    found: list[socket.socket] = []
    port = where.port
    absent: ConfigError | None = None
    for host in LOOPBACK:
        try:
            found.append(_bind(Address(host, port), option))
            port = found[0].getsockname()[1]
        except _Absent as error:
            absent = error
        except ConfigError:
            for bound in found:
                with contextlib.suppress(OSError):
                    bound.close()
            raise
    if not found and absent is not None:
        raise absent
    return found


class _Absent(ConfigError):
    """This host does not have the address; for ``localhost`` the other one is enough."""


def _bind(where: Address, option: str) -> socket.socket:
    try:
        family, _, _, _, sockaddr = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _Absent.one(str(where), f"is not an address of this host: {error.strerror}", f"set {option}") from error
    try:
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:  # the kernel has no IPv6, or no IPv4
        raise _Absent.one(str(where), f"this host can not use it: {error.strerror}", f"set {option}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and where.host != "::":
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] serves IPv4 too
        bound.bind(sockaddr)
        bound.listen(512)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _explained(where, option, error) from error
    return bound


def _explained(where: Address, option: str, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        advice = f"stop what uses port {where.port}, or choose another one with {option}"
        return ConfigError.one(str(where), "this port is in use already, perhaps by another collector", advice)
    if error.errno == errno.EACCES:
        return ConfigError.one(str(where), "ports below 1024 need root", f"choose a port from 1024 up with {option}")
    if error.errno == errno.EADDRNOTAVAIL:
        return _Absent.one(str(where), "this host does not have that address", f"set {option}")
    return ConfigError.one(str(where), f"can not listen here: {error.strerror}", f"set {option}")
