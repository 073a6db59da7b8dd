from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from telemetry import work
from telemetry.event import Event
from tests.agent.inputs.pair import HERE, THERE, Pair, Probe, pair, program

DNSMASQ = """
interface=cable0
bind-interfaces
no-resolv
no-hosts
host-record=www.bureau.test,192.0.2.80,2001:db8::80,300
local=/bureau.test/
"""
PORTAL = work.System("portal", "Portal", ("www.bureau.test",))
KNOWN = work.encode(work.Work(version="1", systems=(PORTAL,))).decode()


@pytest.fixture
def cable() -> Iterator[Pair]:
    with pair() as made:
        yield made


@contextmanager
def server(cable: Pair, folder: Path) -> Iterator[None]:
    config = folder / "dnsmasq.conf"
    config.write_text(DNSMASQ)
    running = cable.start(THERE, program("dnsmasq"), "-k", "-u", "root", "-C", str(config))
    try:
        _until_listening(cable)
        yield
    finally:
        running.terminate()
        running.communicate(timeout=10)


def _until_listening(cable: Pair) -> None:
    for _ in range(100):
        if ":53 " in cable.run(THERE, "ss", "-uln"):
            return
        time.sleep(0.1)


def dig(cable: Pair, *words: str) -> None:
    cable.run(HERE, "dig", "+tries=1", "+time=1", *words, check=False)


def ended(probe: Probe) -> list[Event]:
    time.sleep(0.3)  # the kernel hands over its last packets a moment later
    return probe.stop().events


@pytest.mark.needs("root", "iproute2", "bind9", "dnsmasq")
def test_questions_are_summed_up_by_client_and_domain_and_names_stay_private(cable: Pair, tmp_path: Path) -> None:
    probe = cable.probe(HERE, "dns")
    with server(cable, tmp_path):
        for _ in range(2):
            dig(cable, "@192.0.2.2", "www.bureau.test", "A")
        dig(cable, "@192.0.2.2", "gone.bureau.test", "AAAA")
        dig(cable, "@2001:db8::2", "mail.elsewhere.example", "MX")
        told = ended(probe)
    sums = {(e["source.ip"], e["dns.question.registered_domain"]): e for e in told if e["event.action"] == "summary"}
    assert set(sums) == {("192.0.2.1", "bureau.test"), ("2001:db8::1", "elsewhere.example")}
    one = sums["192.0.2.1", "bureau.test"]
    assert (one["tengwang.dns.queries"], one["tengwang.dns.names"], one["tengwang.dns.nxdomain"]) == (3, 2, 1)
    assert one["tengwang.dns.label_length"] == 3.5
    assert one["destination.ip"] == "192.0.2.2"
    assert 0 < float(str(one["tengwang.dns.latency"])) < 1000
    assert not any("dns.question.name" in event for event in told)


@pytest.mark.needs("root", "iproute2", "bind9", "dnsmasq")
def test_an_answer_for_a_registered_system_is_told_whole(cable: Pair, tmp_path: Path) -> None:
    probe = cable.probe(HERE, "dns", work=KNOWN)
    seen: list[Event] = []
    with server(cable, tmp_path):
        dig(cable, "@2001:db8::2", "WWW.bureau.test", "AAAA")
        told = probe.wait_for(seen, 5, event__action="answer")
    probe.stop()
    assert (told["dns.question.name"], told["dns.question.type"]) == ("www.bureau.test", "AAAA")
    assert (told["dns.response_code"], told["tengwang.dns.answers"]) == ("NOERROR", ["2001:db8::80"])
    assert told["dns.answers.ttl"] == 300
    assert (told["source.ip"], told["destination.ip"]) == ("2001:db8::2", "2001:db8::1")


@pytest.mark.needs("root", "iproute2", "bind9", "dnsmasq")
@pytest.mark.parametrize(("names", "wanted"), [("full", "gone.bureau.test"), ("none", None)])
def test_how_much_of_the_names_is_told_is_for_the_operator_to_say(
    cable: Pair, tmp_path: Path, names: str, wanted: str | None
) -> None:
    probe = cable.probe(HERE, "dns", {"names": names})
    with server(cable, tmp_path):
        dig(cable, "@192.0.2.2", "gone.bureau.test")
        (told,) = ended(probe)
    assert told.get("dns.question.name") == wanted
    assert ("dns.question.registered_domain" in told) == (names == "full")
    assert told["tengwang.dns.queries"] == 1


@contextmanager
def tunnel(cable: Pair, *options: str) -> Iterator[None]:
    """An iodine tunnel from here to there with something going through it."""
    words = (program("iodined"), "-f", "-c", "-P", "secret", "10.99.0.1/24", "t.tunnel.example")
    far = cable.start(THERE, "timeout", "60", *words)
    _until_listening(cable)
    near = cable.start(HERE, "timeout", "60", program("iodine"), "-f", *options, "-P", "secret", "192.0.2.2",
                       "t.tunnel.example")  # fmt: skip
    for _ in range(300):
        if "dns0" in cable.run(HERE, "ip", "-br", "link"):
            break
        time.sleep(0.1)
    flow = cable.start(THERE, "timeout", "30", "ping", "-q", "-i", "0.1", "10.99.0.2")
    try:
        yield
    finally:
        for process in (flow, near, far):
            process.terminate()
            process.communicate(timeout=10)


@pytest.mark.needs("root", "iproute2", "iodine")
def test_a_dns_tunnel_is_told_by_its_long_and_ever_new_names(cable: Pair) -> None:
    probe = cable.probe(HERE, "dns")
    seen: list[Event] = []
    started = time.monotonic()
    with tunnel(cable, "-r"):
        told = probe.wait_for(seen, 40, event__action="summary", dns__question__registered_domain="tunnel.example")
        assert time.monotonic() - started < 30
    probe.stop()
    assert told["source.ip"] == "192.0.2.1"
    assert int(str(told["tengwang.dns.names"])) >= 20
    assert float(str(told["tengwang.dns.label_length"])) > 30
    assert float(str(told["tengwang.dns.entropy"])) > 3.0


@pytest.mark.needs("root", "iproute2", "iodine")
def test_a_tunnel_over_port_53_that_is_no_dns_is_told_as_that(cable: Pair) -> None:
    probe = cable.probe(HERE, "dns")
    seen: list[Event] = []
    with tunnel(cable):
        told = probe.wait_for(seen, 30, event__action="not_dns", source__ip="192.0.2.1")
    probe.stop()
    assert told["destination.ip"] == "192.0.2.2"
    assert int(str(told["tengwang.dns.malformed"])) >= 5
