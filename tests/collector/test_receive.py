from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest
import zstandard

from collector.ca import Authority
from collector.query import Equals, Exists, Kind, Search
from collector.store import Found
from telemetry import wire, work
from telemetry.clock import SystemClock
from telemetry.enrol import CA_PATH, EVENTS_PATH, RENEW_PATH, WORK_PATH, Identity, RenewRequest
from tests.collector.running import AgentSide, Running, collector, csr, flow, host


@pytest.fixture(params=["[::1]", "127.0.0.1"])
async def running(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    async with collector(tmp_path, request.param) as found:
        yield found


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Running]:
    async with collector(tmp_path) as found:
        yield found


def now() -> int:
    return SystemClock().now_ms()


def stored(running: Running, kind: Kind = Kind.EVENT, **equals: str) -> list[Found]:
    """What agents sent; the collector has records of its own."""
    mine = (Exists("tengwang.agent.sequence"),) if kind is Kind.EVENT else ()
    where = (*mine, *(Equals(name.replace("__", "."), (value,)) for name, value in equals.items()))
    rows = running.collector.services.store.search(Search(0, 2**52, where, kind, 1000, oldest_first=True)).rows
    return list(rows)


async def audited(running: Running, action: str) -> list[Found]:
    for _ in range(100):
        if found := stored(running, Kind.AUDIT, event__action=action):
            return found
        await asyncio.sleep(0.02)
    return []


async def test_an_agent_enrols_sends_and_its_event_is_stored_with_unit_and_both_times(running: Running) -> None:
    agent = await running.enrol()
    at = now() - 5000
    status, ack, _ = await agent.send([(1, flow(at)), (2, flow(at + 1))])
    assert (status, ack["stored"]) == (200, 2)
    first = stored(running)[0]
    assert first.id == f"{agent.identity.agent}-1-1"
    assert first.doc["tengwang.unit.id"] == "bureau"
    assert first.doc["tengwang.source.zone"] == "dmz"
    assert first.doc["agent.name"] == "host1"
    assert first.doc["@timestamp"] == at
    assert at < int(str(first.doc["event.ingested"])) <= now()
    account = running.collector.services.ledgers.account(agent.identity.agent)
    assert (account.collected, account.stored, account.adds_up) == (2, 2, True)


async def test_a_repeated_batch_is_stored_once(here: Running) -> None:
    agent = await here.enrol()
    records = [(n, flow(now())) for n in range(1, 11)]
    for repeat in (False, True, True):
        assert (await agent.send(list(records), repeat=repeat))[0] == 200
    assert len(stored(here)) == 10
    assert here.collector.services.ledgers.account(agent.identity.agent).stored == 10


async def test_the_ca_is_public_and_everything_else_needs_a_certificate(here: Running) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(here.base + CA_PATH, ssl=here.ca_only()) as answer:
            assert await answer.text() == here.collector.services.authority.pem
        for method, path in (("GET", WORK_PATH), ("POST", RENEW_PATH), ("POST", EVENTS_PATH)):
            async with session.request(method, here.base + path, ssl=here.ca_only()) as answer:
                assert answer.status == 401
                assert (await answer.json())["reason"] == "no_certificate"
    assert await audited(here, "agent-refused")


async def test_a_certificate_of_another_ca_fails_in_the_handshake_and_is_audited(here: Running, tmp_path: Path) -> None:
    agent = await here.enrol()
    other = Authority.open(tmp_path / "other", SystemClock())
    request, key = csr()
    issued = other.issue_agent(request, agent.identity.agent, 30)
    forged = AgentSide(msgspec.structs.replace(agent.identity, certificate=issued.pem), key, tmp_path, here.base)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await forged.send([(1, flow(now()))])
    found = await audited(here, "handshake-failed")
    assert found[0].doc["event.reason"] == "foreign_ca"
    assert found[0].doc["client.ip"] == "::1"
    assert stored(here) == []


async def test_an_expired_certificate_is_refused_and_audited(here: Running) -> None:
    agent = await here.enrol()
    services = here.collector.services
    request, key = csr()
    issued = services.authority.issue_agent(request, agent.identity.agent, -0.5)
    agent = AgentSide(msgspec.structs.replace(agent.identity, certificate=issued.pem), key, here.directory, here.base)
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await agent.send([(1, flow(now()))])
    assert (await audited(here, "handshake-failed"))[0].doc["event.reason"] == "expired"


async def test_a_revoked_agent_is_refused_before_its_body_is_read(here: Running) -> None:
    agent = await here.enrol()
    here.collector.services.registry.revoke(agent.identity.agent, "test")
    status, refusal, _ = await agent.post(b"not even a batch" * 1000)
    assert (status, refusal["reason"]) == (403, "revoked")
    found = await audited(here, "agent-refused")
    assert found[0].doc["agent.id"] == agent.identity.agent
    assert here.collector.services.report.value("tengwang_batches_refused_total") == 0


async def test_the_id_of_another_agent_is_refused_and_audited(here: Running) -> None:
    one, two = await here.enrol(host(1)), await here.enrol(host(2))
    status, refusal, _ = await one.send([(1, flow(now()))], agent=two.identity.agent)
    assert (status, refusal["reason"]) == (403, "wrong_agent")
    assert (await audited(here, "agent-refused"))[0].doc["agent.id"] == one.identity.agent
    assert stored(here) == []


async def test_the_certificate_of_the_server_is_not_one_of_an_agent(here: Running) -> None:
    agent = await here.enrol()
    context = here.ca_only()
    context.load_cert_chain(here.collector.services.home / "tls" / "agents.pem")
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        async with aiohttp.ClientSession() as session, session.get(here.base + WORK_PATH, ssl=context) as answer:
            await answer.read()
    assert (await audited(here, "handshake-failed"))[0].doc["event.reason"] == "wrong_purpose"
    assert (await agent.send([(1, flow(now()))]))[0] == 200


async def test_a_bad_record_is_set_aside_with_the_reason_and_spoils_no_other(here: Running) -> None:
    agent = await here.enrol()
    bad = {
        2: b'{"@timestamp":1,"event.dataset":"x","event.action":"y","invented.field":1}',
        3: msgspec.json.encode({**flow(now()), "source.port": "eighty"}),
        4: b"[1,2,3]",
        5: b'{"@timestamp":1e999}',
        6: b'"\xff\xfe"',
        7: b'{"event.dataset":"x"}',
        8: b"[" * 3000 + b"]" * 3000,
        9: msgspec.json.encode({**flow(now()), "host.name": "x" * 200_000}),
    }
    records: list[tuple[int, dict[str, object] | bytes]] = [(1, flow(now())), *bad.items(), (10, flow(now()))]  # type: ignore[list-item]
    status, ack, _ = await agent.send(records)  # type: ignore[arg-type]
    if status == 400:  # a record so deep that the line itself can not be read: the agent halves until it is alone
        assert ack["reason"] == "not_json"
        records = [r for r in records if r[0] != 8]
        status, ack, _ = await agent.send(records)  # type: ignore[arg-type]
    assert (status, ack["stored"], ack["refused"]) == (200, 2, len(records) - 2)
    reasons = {
        found.doc["tengwang.agent.sequence"]: found.doc["tengwang.aside.reason"]
        for found in stored(here, Kind.ASIDE)
        if "tengwang.agent.sequence" in found.doc
    }
    assert reasons[2] == "unknown_field"
    assert reasons[3] == "wrong_type"
    assert reasons[4] == "not_an_object"
    assert reasons[5] == "not_json"
    assert reasons[6] == "not_json"
    assert reasons[9] == "wrong_type"
    account = here.collector.services.ledgers.account(agent.identity.agent)
    assert account.stored == 2
    assert account.dropped == {"set_aside": len(records) - 2}


async def test_a_newer_agent_keeps_its_event_and_the_unknown_field_is_set_apart(here: Running) -> None:
    agent = await here.enrol()
    event = {**flow(now()), "source.geo.planet": "earth"}
    status, ack, _ = await agent.send([(1, event)], schema=99)
    assert (status, ack["stored"]) == (200, 1)
    doc = stored(here)[0].doc
    assert msgspec.json.decode(str(doc["tengwang.unknown_fields"])) == {"source.geo.planet": "earth"}


async def test_a_newer_wire_format_is_refused_in_a_way_that_keeps_the_agents_data(here: Running) -> None:
    agent = await here.enrol()
    status, refusal, _ = await agent.send([(1, flow(now()))], v=2)
    assert (status, refusal["reason"]) == (409, "unsupported_version")
    assert "reads up to 1" in refusal["detail"]


@pytest.mark.parametrize(("shift", "flag"), [(-400 * 86_400_000, "past"), (86_400_000 * 3, "future"), (-5000, None)])
async def test_a_time_that_can_not_be_is_stored_with_both_times_and_flagged(
    here: Running, shift: int, flag: str | None
) -> None:
    agent = await here.enrol()
    at = now() + shift
    await agent.send([(1, flow(at))])
    doc = stored(here)[0].doc
    assert doc["@timestamp"] == at
    assert doc.get("tengwang.time.flag") == flag
    assert abs(int(str(doc["event.ingested"])) - now()) < 10_000


async def test_a_zstd_bomb_and_noise_are_refused_counted_and_kept_aside(here: Running) -> None:
    agent = await here.enrol()
    bomb = zstandard.compress(b"\0" * (wire.MAX_EXPANDED + 1_000_000))
    assert (await agent.post(bomb))[0] in (400, 413)
    assert (await agent.post(b"\x00noise"))[0] == 400
    assert (await agent.post(b""))[0] == 400
    assert (await agent.post(b"{}", content_type="application/json"))[0] == 415
    reasons = {found.doc["tengwang.aside.reason"] for found in stored(here, Kind.ASIDE)}
    assert "not_zstd" in reasons
    assert (await agent.send([(1, flow(now()))]))[0] == 200


async def test_a_body_beyond_the_bound_is_refused_by_its_length_alone(here: Running) -> None:
    agent = await here.enrol()
    status, refusal, _ = await agent.post(b"x" * (wire.MAX_COMPRESSED + 1))
    assert (status, refusal["reason"]) == (413, "too_large")


async def test_work_is_given_with_an_etag_and_not_again_while_it_is_the_same(here: Running) -> None:
    agent = await here.enrol()
    status, body, headers = await agent.get(WORK_PATH)
    assert status == 200
    assert work.decode(body).unit == "bureau"
    assert (await agent.get(WORK_PATH, **{"If-None-Match": headers["ETag"]}))[0] == 304
    _, ack, _ = await agent.send([(1, flow(now()))])
    assert f'"{ack["work"]}"' == headers["ETag"]


async def test_renewal_gives_a_new_certificate_and_ends_the_old_one_when_it_is_used(here: Running) -> None:
    agent = await here.enrol()
    request, key = csr()
    body = msgspec.json.encode(RenewRequest(request, host(), "0.1.0"))
    status, answer, _ = await agent.post(body, RENEW_PATH, "application/json")
    assert status == 200
    assert (await agent.send([(1, flow(now()))]))[0] == 200  # until the new one has been seen
    renewed = AgentSide(msgspec.convert(answer, Identity), key, here.directory, here.base)
    assert (await renewed.send([(2, flow(now()))]))[0] == 200
    status, refusal, _ = await agent.send([(3, flow(now()))])
    assert (status, refusal["reason"]) == (403, "superseded")


async def test_a_copied_disk_is_refused_at_renewal(here: Running) -> None:
    agent = await here.enrol()
    request, _ = csr()
    body = msgspec.json.encode(RenewRequest(request, host(1, ("02:00:00:00:99:99",)), "0.1.0"))
    status, refusal, _ = await agent.post(body, RENEW_PATH, "application/json")
    assert (status, refusal["reason"]) == (409, "cloned")
    assert "token of its own" in refusal["detail"]


async def test_two_programs_with_one_identity_are_both_refused_until_the_real_one_enrols_again(here: Running) -> None:
    agent = await here.enrol()
    clone = msgspec.structs.replace(agent.identity)
    copy = AgentSide(clone, agent.key, here.directory, here.base, instance="run-2")
    answers = []
    for number in range(1, 4):
        answers.append((await agent.send([(number, flow(now()))]))[0])
        answers.append((await copy.send([(number, flow(now()))]))[0])
    assert answers[0] == 200
    assert answers[-2:] == [409, 409]
    again = await here.enrol(host())
    assert again.identity.agent == agent.identity.agent
    again.instance = "run-3"
    assert (await again.send([(1, flow(now()))], epoch=2))[0] == 200
    status, refusal, _ = await copy.send([(4, flow(now()))])
    assert (status, refusal["reason"]) == (403, "superseded")


async def test_metrics_and_console_are_there(here: Running) -> None:
    agent = await here.enrol()
    await agent.send([(1, flow(now()))])
    url = here.collector.console_urls[0] + "/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    assert answer.status == 200
    assert "tengwang_events_received_total 1.0" in text
    assert "tengwang_store_writable 1.0" in text
    assert "tengwang_ledger_stored 1.0" in text
