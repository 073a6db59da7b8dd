from __future__ import annotations

import contextlib
import socket

import pytest

from collector.listening import bind, url
from telemetry.errors import ConfigError


def close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


def test_localhost_is_every_loopback_address_on_one_port() -> None:
    found = bind(("localhost:0",), "--listen")
    try:
        assert [s.getsockname()[0] for s in found] == ["::1", "127.0.0.1"]
        assert len({s.getsockname()[1] for s in found}) == 1
    finally:
        close(found)


def test_a_port_in_use_says_what_to_do_and_leaves_nothing_open() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=r"in use already.*choose another one with --listen") as caught:
            bind((f"localhost:{port}",), "--listen")
        assert str(port) in str(caught.value)
        with contextlib.closing(socket.socket(socket.AF_INET6)) as free:
            free.bind(("::1", port))


def test_an_address_of_another_host_is_refused_clearly() -> None:
    with pytest.raises(ConfigError, match="this host does not have that address"):
        bind(("[2001:db8:ffff::1]:0",), "--listen")


def test_a_host_with_one_family_only_still_has_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.bind

    def only_v6(self: socket.socket, where: object) -> None:
        if self.family == socket.AF_INET:
            raise OSError(99, "Cannot assign requested address")
        real(self, where)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "bind", only_v6)
    found = bind(("localhost:0",), "--listen")
    try:
        assert [s.getsockname()[0] for s in found] == ["::1"]
    finally:
        close(found)


def test_addresses_are_urls_with_brackets_where_they_need_them() -> None:
    found = [*bind(("[::1]:0",), "x"), *bind(("127.0.0.1:0",), "x"), *bind(("[::]:0",), "x")]
    try:
        six, four, wild = (url(s, tls) for s, tls in zip(found, (True, False, True), strict=True))
        assert six == f"https://[::1]:{found[0].getsockname()[1]}"
        assert four.startswith("http://127.0.0.1:")
        assert socket.gethostname() in wild
    finally:
        close(found)
