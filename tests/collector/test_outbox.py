"""Pages on a real store: sent once, claimed, fallen back, taken over, dead letters; two collectors, and faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.notifier import Receipt
from collector.outbox import Outbox, Way
from collector.page import CLAIM_MS, PREFIX, Page, PageState, Why
from collector.store import State, Store, StoreContext
from collector.stores import elastic
from telemetry.clock import ManualClock, SystemClock
from telemetry.errors import Permanent, Transient
from telemetry.report import Report
from tests.collector.access.sqlite_store import open_store
from tests.collector.paging_parts import Tape, outbox, page
from tests.parts.elasticsearch import Cluster

LI = page().id


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = open_store(tmp_path, clock)
    yield made
    made.close()


def stored(store: Store, box: Outbox, id: str = LI) -> Page:
    box.refresh()
    return next(one for one in box.all() if one.id == id)


def send(box: Outbox, channel: str, tape: Tape, id: str = LI) -> bool:
    return box.send(Way(channel, 600, tape), id)


def test_a_page_is_put_once_whoever_puts_it(store: Store, clock: ManualClock) -> None:
    one, two = outbox(store, clock, {"sms": Tape()}), outbox(store, clock, {"sms": Tape()}, "two")
    assert one.put(page(now_ms=clock.ms))
    assert not one.put(page(now_ms=clock.ms))
    assert not two.put(page(now_ms=clock.ms + 5))
    assert len(store.list_state(PREFIX)) == 1


def test_it_is_sent_with_an_id_that_never_changes(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    tape.errors = [Transient("down")]
    box = outbox(store, clock, {"sms": tape})
    box.put(page(now_ms=clock.ms))
    assert send(box, "sms", tape)
    assert stored(store, box).state is PageState.WAITING
    clock.advance(10)
    send(box, "sms", tape)
    after = stored(store, box)
    assert (after.state, after.sent_by) == (PageState.SENT, "sms")
    assert len(set(tape.asked)) == 1
    assert tape.taken[0].id == after.message_id


def test_only_one_of_two_collectors_sends(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    one, two = outbox(store, clock, {"sms": tape}), outbox(store, clock, {"sms": tape}, "two")
    one.put(page(now_ms=clock.ms))
    two.refresh()
    meanwhile: list[bool] = []
    tape.on_notify = lambda _: meanwhile.append(send(two, "sms", tape))
    send(one, "sms", tape)
    assert meanwhile == [False]
    assert not send(two, "sms", tape)
    assert len(tape.asked) == 1


def test_a_collector_that_died_while_sending_is_followed_by_the_same_message(store: Store, clock: ManualClock) -> None:
    class Death(BaseException):
        pass

    tape, heir = Tape(), Tape()
    one, two = outbox(store, clock, {"sms": tape}), outbox(store, clock, {"sms": heir}, "two")
    one.put(page(now_ms=clock.ms))

    def die(_: object) -> None:
        raise Death

    tape.on_notify = die
    with pytest.raises(Death):
        send(one, "sms", tape)
    two.refresh()
    assert not send(two, "sms", heir)
    clock.advance(CLAIM_MS / 1000)
    assert send(two, "sms", heir)
    assert heir.asked == tape.asked


def test_what_is_refused_for_good_goes_the_next_way_at_once(store: Store, clock: ManualClock) -> None:
    sms, mail = Tape(), Tape()
    sms.errors = [Permanent("no_phone", "has no number")]
    box = outbox(store, clock, {"sms": sms, "mail": mail})
    box.put(page(now_ms=clock.ms))
    send(box, "sms", sms)
    send(box, "mail", mail)
    after = stored(store, box)
    assert (after.state, after.sent_by) == (PageState.SENT, "mail")
    assert [attempt.channel for attempt in after.attempts] == ["sms", "mail"]
    assert "no number" in after.attempts[0].error


def test_a_notifier_that_breaks_is_one_failed_try(store: Store, clock: ManualClock) -> None:
    sms = Tape()
    sms.errors = [RuntimeError("bug")]
    box = outbox(store, clock, {"sms": sms})
    box.put(page(now_ms=clock.ms))
    assert send(box, "sms", sms)
    assert stored(store, box).attempts[0].error == "RuntimeError: bug"


def test_nobody_is_woken_for_what_somebody_has_acknowledged(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    box = outbox(store, clock, {"sms": tape}, needed=lambda p: p.why is not Why.ESCALATION)
    box.put(page(now_ms=clock.ms))
    assert not send(box, "sms", tape)
    assert stored(store, box).state is PageState.NOT_NEEDED
    assert tape.asked == []


def test_receipts_also_one_that_comes_too_early(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    tape.receipts = True
    box = outbox(store, clock, {"sms": tape, "mail": Tape()})
    box.put(page(now_ms=clock.ms))
    tape.on_notify = lambda message: box.receipt(Receipt(message.id[:8], True, "DELIVRD"))
    send(box, "sms", tape)
    assert stored(store, box).state is PageState.DELIVERED
    box.put(page("zhao", clock.ms))
    tape.on_notify = lambda _: None
    send(box, "sms", tape, page("zhao").id)
    assert stored(store, box, page("zhao").id).state is PageState.SENT
    box.receipt(Receipt(page("zhao").message_id[:8], False, "UNDELIV"))
    after = stored(store, box, page("zhao").id)
    assert (after.state, after.channel) == (PageState.WAITING, "mail")


def test_dead_letters_are_seen_sent_again_and_forgotten_in_the_end(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    tape.errors = [Permanent("refused", "never")] * 2
    ends: list[PageState] = []
    box = outbox(store, clock, {"sms": tape}, settled=lambda p: ends.append(p.state))
    box.put(page(now_ms=clock.ms))
    send(box, "sms", tape)
    assert [one.id for one in box.dead()] == [LI]
    box.see(LI, "chen")
    assert box.dead() == []
    box.revive(LI, "chen")
    assert send(box, "sms", tape)
    assert len(box.dead()) == 1
    with pytest.raises(Permanent):
        box.revive("nothing", "chen")
    box.revive(LI, "chen")
    send(box, "sms", tape)
    assert len(tape.taken) == 1
    with pytest.raises(Permanent, match="not_dead"):
        box.revive(LI, "chen")
    assert ends == [PageState.DEAD, PageState.DEAD, PageState.SENT]
    clock.advance(8 * 86_400)
    box.refresh()
    assert box.all() == []


def test_without_a_channel_a_page_is_a_dead_letter_at_once(store: Store, clock: ManualClock) -> None:
    box = outbox(store, clock, {})
    assert box.put(page(now_ms=clock.ms))
    assert box.dead()[0].attempts[0].error == "no notifier is configured"


def test_who_is_not_in_the_inventory_any_more_is_a_dead_letter(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    box = outbox(store, clock, {"sms": tape})
    box.put(page("ghost", clock.ms))
    send(box, "sms", tape, page("ghost").id)
    assert "no person 'ghost'" in box.dead()[0].attempts[0].error


def test_a_channel_that_no_collector_has_is_passed_over(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    box = outbox(store, clock, {"mail": tape})
    box.put(page(now_ms=clock.ms, channels=("gone", "mail")))
    clock.advance(31)
    box.refresh()
    assert send(box, "mail", tape)
    assert stored(store, box).sent_by == "mail"


def test_a_store_that_fails_after_the_message_went_out_gets_the_outcome_later(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape()
    box = outbox(store, clock, {"sms": tape})
    box.put(page(now_ms=clock.ms))
    write, fails = store.write_state, [0]

    def failing(key: str, value: bytes, version: int) -> int:
        if tape.taken and fails[0] < 2:
            fails[0] += 1
            raise Transient("the store is away")
        return write(key, value, version)

    monkeypatch.setattr(store, "write_state", failing)
    send(box, "sms", tape)
    assert stored(store, box).state is PageState.SENT
    assert len(tape.asked) == 1


def test_what_was_just_put_is_not_forgotten_where_a_list_does_not_have_it_yet(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = Tape()
    box = outbox(store, clock, {"sms": tape})
    box.put(page(now_ms=clock.ms))
    monkeypatch.setattr(store, "list_state", lambda prefix: [])
    box.refresh()
    assert [one.id for one in box.waiting()] == [LI]
    clock.advance(11)
    box.refresh()
    assert box.all() == []


def test_a_document_that_nobody_can_read_stops_nothing(store: Store, clock: ManualClock) -> None:
    tape = Tape()
    box = outbox(store, clock, {"sms": tape})
    store.write_state(PREFIX + "broken", b"\xff", 0)
    box.put(page(now_ms=clock.ms))
    box.refresh()
    assert send(box, "sms", tape)


def running(tmp_path: Path, tapes: dict[str, Tape]) -> Iterator[Outbox]:
    clock = SystemClock()
    store = open_store(tmp_path, clock)
    box = outbox(store, clock, tapes)
    box.start()
    try:
        yield box
    finally:
        for tape in tapes.values():
            tape.hold.set()
        box.stop()
        store.close()


def until(what: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_threads_send_the_gravest_first_and_stop(tmp_path: Path) -> None:
    tape = Tape()
    for box in running(tmp_path, {"sms": tape}):
        tape.hold.clear()
        now = SystemClock().now_ms()
        box.put(page("first", now))
        until(lambda: tape.asked)
        box.put(page("low", now, level="low"))
        box.put(page("critical", now + 5, level="critical"))
        tape.hold.set()
        until(lambda: len(tape.taken) == 3)
        assert [message.to.person for message in tape.taken] == ["first", "critical", "low"]
    assert tape.closed


def test_a_hanging_channel_holds_up_no_other(tmp_path: Path) -> None:
    sms, mail = Tape(), Tape()
    for box in running(tmp_path, {"sms": sms, "mail": mail}):
        sms.hold.clear()
        now = SystemClock().now_ms()
        box.put(page("li", now))
        box.put(page("zhao", now, channels=("mail",)))
        until(lambda: mail.taken)
        assert sms.taken == []


def forty_by_two(stores: tuple[Store, Store]) -> None:
    """Two collectors, one store, forty pages put by both at the same time: each person is paged once."""
    clock = SystemClock()
    tape = Tape()
    boxes = [outbox(store, clock, {"sms": tape}, name) for store, name in zip(stores, ("one", "two"), strict=True)]
    for box in boxes:
        box.start()

    def put(box: Outbox) -> None:
        for number in range(40):
            box.put(page(f"p{number}", clock.now_ms()))

    threads = [threading.Thread(target=put, args=(box,)) for box in boxes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len({message.to.person for message in tape.taken}) == 40, 60)
    time.sleep(0.3)
    for box in boxes:
        box.stop()
    assert len(tape.asked) == 40
    boxes[0].refresh()
    assert {one.state for one in boxes[0].all()} == {PageState.SENT}


def test_two_collectors_page_everybody_once(tmp_path: Path) -> None:
    store = open_store(tmp_path, SystemClock())
    forty_by_two((store, store))
    store.close()


@pytest.mark.needs("elasticsearch")
def test_two_collectors_on_elasticsearch_page_everybody_once(elasticsearch: Cluster) -> None:
    clock = SystemClock()
    config = elastic.Config(urls=tuple(elasticsearch.urls), prefix="outbox", replicas=0)
    one, two = (elastic.build(config, StoreContext(Path(), clock, Report(clock))) for _ in range(2))
    forty_by_two((one, two))
    one.close()
    two.close()


def test_states_are_small(store: Store, clock: ManualClock) -> None:
    box = outbox(store, clock, {"sms": Tape()})
    box.put(page(now_ms=clock.ms))
    state: State = store.list_state(PREFIX)[0]
    assert len(state.value) < 2_000
