"""Devices that are slow, silent, wrong or hostile: every conversation ends, and says why."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import snmp_poll, snmp_security
from agent.decoders.ber import Absent, Oid, Value
from agent.snmp_security import SnmpFault
from agent.snmp_session import Limits, SnmpSession, Walk
from telemetry.clock import SystemClock
from telemetry.work import SnmpTarget
from tests.agent.snmp_device import Handler, Request, device, target
from tests.parts.snmpd import free_udp_port

ENTRY: Oid = (1, 3, 6, 1, 2, 1, 2, 2, 1)
QUICK = Limits(timeout=0.15, retries=1, max_rows=50, total=5)


def session(to: SnmpTarget, limits: Limits = QUICK, strays: list[str] | None = None) -> SnmpSession:
    clock = SystemClock()
    stray = None if strays is None else strays.append
    return SnmpSession(to, snmp_security.build(to.credential, clock), limits, clock, random.Random(1), stray)


async def walk(handler: Handler, columns: tuple[int, ...] = (2, 7), limits: Limits = QUICK) -> Walk:
    async with device(handler) as to, session(to, limits) as asked:
        return await asked.walk(ENTRY, columns)


async def get(handler: Handler, names: list[Oid], limits: Limits = QUICK) -> dict[Oid, Value]:
    async with device(handler) as to, session(to, limits) as asked:
        return await asked.get(names)


def table(rows: int, columns: tuple[int, ...] = (2, 7)) -> list[tuple[Oid, Value]]:
    """A well-behaved table, and one object after it."""
    made: list[tuple[Oid, Value]] = [((*ENTRY, c, i), i * 10 + c) for c in columns for i in range(1, rows + 1)]
    return [*made, ((1, 3, 6, 1, 2, 1, 2, 3, 0), 1)]


def following(content: list[tuple[Oid, Value]], name: Oid) -> tuple[Oid, Value]:
    return next(((n, v) for n, v in content if n > name), (name, Absent.END_OF_MIB_VIEW))


def bulk(request: Request, content: list[tuple[Oid, Value]]) -> list[tuple[Oid, Value]]:
    """What GETBULK means (RFC 3416 section 4.2.3)."""
    names, binds = list(request.names), []
    for _ in range(request.repetitions):
        row = [following(content, name) for name in names]
        binds += row
        names = [name for name, _ in row]
    return binds


async def test_a_table_over_several_answers() -> None:
    found = await walk(lambda r: [r.answer(bulk(r, table(40)))])
    assert found == Walk({(i,): {2: i * 10 + 2, 7: i * 10 + 7} for i in range(1, 41)})


async def test_a_silent_device_times_out_in_its_bound() -> None:
    started = time.monotonic()
    with pytest.raises(SnmpFault) as fault:
        await get(lambda _: [], [ENTRY])
    assert fault.value.reason == "timeout"
    assert time.monotonic() - started < 1.5


async def test_a_closed_port_is_told_apart_from_silence() -> None:
    async with session(target(free_udp_port())) as asked:
        with pytest.raises(SnmpFault) as fault:
            await asked.get([ENTRY])
    assert fault.value.reason == "refused"


async def test_an_answer_that_comes_late_still_counts() -> None:
    """It answers the first request only after the second was sent."""
    held: list[bytes] = []

    def slow(request: Request) -> Iterable[bytes]:
        held.append(request.answer([(request.names[0], 5)]))
        return [held[0]] if len(held) == 2 else []

    assert await get(slow, [ENTRY]) == {ENTRY: 5}


async def test_answers_with_a_wrong_request_id_are_waited_past() -> None:
    strays: list[str] = []
    answers: Handler = lambda r: [r.answer([(ENTRY, 1)], id=r.id ^ 1), r.answer([(ENTRY, 2)])]  # noqa: E731
    async with device(answers) as to, session(to, strays=strays) as asked:
        assert await asked.get([ENTRY]) == {ENTRY: 2}
    assert strays == ["stray"]


async def test_an_endless_table_is_cut_and_said() -> None:
    def endless(request: Request) -> Iterable[bytes]:
        last = [name[-1] if len(name) > len(ENTRY) + 1 else 0 for name in request.names]
        binds: list[tuple[Oid, Value]] = [
            ((*name[: len(ENTRY) + 1], last[i] + step), 1)
            for step in range(1, request.repetitions + 1)
            for i, name in enumerate(request.names)
        ]
        return [request.answer(binds)]

    found = await walk(endless)
    assert len(found.rows) == 50
    assert found.fault == "max_rows"


@pytest.mark.parametrize("back", [0, 1, 5])
async def test_object_identifiers_that_do_not_rise_end_the_walk(back: int) -> None:
    content = table(6)
    looped = [*content[:6], ((*ENTRY, 2, 6 - back), 1)]

    def loops(request: Request) -> Iterable[bytes]:
        name = request.names[0]
        position = next((i for i, (n, _) in enumerate(looped) if n > name), len(looped) - 1)
        return [request.answer([looped[position]])]

    found = await walk(loops, (2,))
    assert found.fault == "oid_not_increasing"
    assert len(found.rows) == 6


async def test_a_device_that_goes_back_to_another_table_is_stopped() -> None:
    def back(request: Request) -> Iterable[bytes]:
        return [request.answer([((1, 3, 6, 1, 2, 1, 1, 1, 0), b"x")] * len(request.names))]

    with pytest.raises(SnmpFault) as fault:
        await walk(back)
    assert fault.value.reason == "oid_not_increasing"


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_too_big_makes_the_next_request_smaller(most: int) -> None:
    def small(request: Request) -> Iterable[bytes]:
        binds = bulk(request, table(20))
        return [request.answer([], status=1) if len(binds) > most else request.answer(binds)]

    found = await walk(small)
    assert not found.fault
    assert len(found.rows) == 20
    assert found.rows[(20,)] == {2: 202, 7: 207}


async def test_too_big_for_a_get_asks_in_parts() -> None:
    names: list[Oid] = [(*ENTRY, n, 1) for n in range(1, 9)]

    def small(request: Request) -> Iterable[bytes]:
        known: list[tuple[Oid, Value]] = [(n, n[-2]) for n in request.names]
        return [request.answer([], status=1) if len(known) > 3 else request.answer(known)]

    assert await get(small, names) == {name: name[-2] for name in names}


async def test_large_answers_that_are_lost_are_asked_for_smaller() -> None:
    def fragments_lost(request: Request) -> Iterable[bytes]:
        reply = request.answer(bulk(request, table(20)))
        return [] if len(reply) > 150 else [reply]

    found = await walk(fragments_lost, limits=Limits(timeout=0.05, retries=4, max_rows=50, total=5))
    assert len(found.rows) == 20


@pytest.mark.parametrize(("status", "reason"), [(5, "gen_err"), (16, "auth"), (6, "no_access"), (99, "error")])
async def test_an_error_status_is_honoured(status: int, reason: str) -> None:
    with pytest.raises(SnmpFault) as fault:
        await get(lambda r: [r.answer([], status=status, index=1)], [ENTRY])
    assert fault.value.reason == reason


async def test_rows_had_before_a_fault_are_kept() -> None:
    def breaks(request: Request) -> Iterable[bytes]:
        if request.names[0][-1] >= 12:
            return [request.answer([], status=5)]
        return [request.answer(bulk(request, table(40)))]

    found = await walk(breaks)
    assert found.fault == "gen_err"
    assert len(found.rows) >= 12


async def test_an_answer_with_no_bindings_is_no_endless_loop() -> None:
    with pytest.raises(SnmpFault) as fault:
        await walk(lambda r: [r.answer([])])
    assert fault.value.reason == "empty_answer"


async def test_the_whole_conversation_is_bounded_and_keeps_what_it_had() -> None:
    limits = Limits(timeout=0.3, retries=3, repetitions=1, max_rows=10_000, total=0.5)

    async def slowly() -> Walk:
        def drip(request: Request) -> Iterable[bytes]:
            time.sleep(0.02)
            return [request.answer(bulk(request, table(1000)))]

        return await walk(drip, limits=limits)

    started = time.monotonic()
    found = await slowly()
    assert found.fault == "deadline"
    assert found.rows
    assert time.monotonic() - started < 2


async def test_a_name_that_does_not_resolve() -> None:
    wrong = SnmpTarget("d", "d", "no-such-host.invalid", target(161).credential)
    with pytest.raises(SnmpFault) as fault:
        async with session(wrong):
            pass
    assert fault.value.reason == "resolve"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=3))
def test_any_bytes_as_an_answer_end_in_a_fault(replies: list[bytes]) -> None:
    async def polled() -> None:
        async with device(lambda _: replies) as to, session(to, Limits(timeout=0.05, retries=0, total=1)) as asked:
            with pytest.raises(SnmpFault):
                await snmp_poll.ask(asked)

    asyncio.run(polled())


VALUES = st.one_of(
    st.none(), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=20), st.sampled_from(Absent), st.just((1, 3, 6, 1))
)
NAMES = st.sampled_from(
    [*[n for n, _ in table(4)], snmp_poll.UPTIME, snmp_poll.NAME, (1, 3, 6, 1, 2, 1, 4, 34, 1, 3, 9)]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=12), st.integers(0, 20), st.integers(-1, 15))
def test_well_formed_nonsense_as_an_answer_ends(binds: list[tuple[Oid, Value]], status: int, index: int) -> None:
    async def polled() -> None:
        handler: Handler = lambda r: [r.answer(binds, status, index)]  # noqa: E731
        async with device(handler) as to, session(to, Limits(timeout=0.1, retries=0, max_rows=20, total=1)) as asked:
            try:
                answers = await snmp_poll.ask(asked)
            except SnmpFault:
                return
            snmp_poll.events(to, "::1", 1, 1.0, answers)

    asyncio.run(polled())
