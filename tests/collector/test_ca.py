from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from collector.ca import Authority, milliseconds, new_key
from collector.local_names import addresses, local_names
from collector.server_tls import OwnCertificate, console_context, load_configured
from telemetry.clock import ManualClock, SystemClock
from telemetry.errors import ConfigError, Permanent
from tests.collector.running import csr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.open(tmp_path_factory.mktemp("ca"), SystemClock())


def test_the_key_can_be_read_by_its_owner_only_and_is_kept(tmp_path: Path) -> None:
    first = Authority.open(tmp_path / "ca", SystemClock())
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert Authority.open(tmp_path / "ca", SystemClock()).pin == first.pin


def test_a_broken_or_mixed_up_authority_is_a_clear_error_and_is_never_replaced(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Authority.open(tmp_path / name, SystemClock())
    (tmp_path / "one" / "ca.key").write_bytes((tmp_path / "two" / "ca.key").read_bytes())
    with pytest.raises(ConfigError, match="do not belong together"):
        Authority.open(tmp_path / "one", SystemClock())
    (tmp_path / "two" / "ca.pem").unlink()
    with pytest.raises(ConfigError, match="restore"):
        Authority.open(tmp_path / "two", SystemClock())


def test_an_agent_gets_its_id_and_not_the_name_it_asks_for(authority: Authority) -> None:
    request, _ = csr("admin")
    issued = authority.issue_agent(request, "agent-7", 30)
    made = x509.load_pem_x509_certificate(issued.pem.encode())
    assert made.subject.rfc4514_string() == "CN=agent-7"
    assert f"{made.serial_number:x}" == issued.serial
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [u.dotted_string for u in usage] == ["1.3.6.1.5.5.7.3.2"]
    assert issued.not_after_ms == milliseconds(made.not_valid_after_utc)
    assert round((issued.not_after_ms - SystemClock().now_ms()) / 86_400_000) == 30


@given(st.text(max_size=300))
def test_any_text_instead_of_a_request_is_refused(authority: Authority, text: str) -> None:
    for candidate in (text, f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----"):
        with pytest.raises(Permanent, match="bad_csr"):
            authority.issue_agent(candidate, "a", 1)


def test_a_servers_certificate_has_its_names_and_renews_itself(tmp_path: Path) -> None:
    clock = ManualClock(SystemClock().now_ms())
    authority = Authority.open(tmp_path / "ca", clock)
    own = OwnCertificate(authority, tmp_path / "tls" / "agents", ["localhost", "::1", "192.0.2.1"], clock)
    own.load_into(console_context())
    path = tmp_path / "tls" / "agents.pem"
    first = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not own.renew()
    clock.advance(61 * 86_400)
    assert own.renew()
    assert path.read_bytes() != first
    second = path.read_bytes()
    OwnCertificate(authority, tmp_path / "tls" / "agents", ["localhost", "2001:db8::1"], clock).renew()
    assert path.read_bytes() != second


def test_a_configured_certificate_that_can_not_be_used_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="private key without a password"):
        load_configured(console_context(), tmp_path / "none.pem", tmp_path / "none.key")


def test_a_key_is_accepted_by_openssl(tmp_path: Path, authority: Authority) -> None:
    key, pem = new_key()
    issued = authority.issue_server(key.public_key(), ["例子.中国", "fe80::1%eth0"])
    (tmp_path / "x.pem").write_bytes(pem + issued.pem.encode())
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "x.pem")
    names = x509.load_pem_x509_certificate(issued.pem.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(n.value) for n in names.value] == ["xn--fsqu00a.xn--fiqs8s", "fe80::1"]


def test_local_names_come_from_the_kernel(tmp_path: Path) -> None:
    net = tmp_path / "proc" / "net"
    net.mkdir(parents=True)
    (net / "if_inet6").write_text("20010db8000000000000000000000001 02 40 00 80 eth0\n")
    (net / "fib_trie").write_text(
        "Local:\n  +-- 0.0.0.0/0\n     |-- 127.0.0.1\n        /32 host LOCAL\n"
        "     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    assert addresses(tmp_path) == ["2001:db8::1", "127.0.0.1"]
    assert local_names(tmp_path)[0] == "localhost"
    assert addresses(tmp_path / "nothing") == []
