"""What becomes of a page, whatever its channels do: pure, and by random histories."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collector import page as pages
from collector.page import CLAIM_MS, LONGEST_PAUSE_MS, PAUSE_MS, RETRY_MS, Page, PageState, Why

GIVE_UP = 3_600_000


def page(*channels: str, **changes: object) -> Page:
    made = Page(
        id="i/0/0/li",
        incident="i",
        person="li",
        why=Why.ESCALATION,
        created_ms=0,
        level="high",
        subject="s",
        text="t",
        channels=channels or ("sms", "mail"),
    )
    return msgspec.structs.replace(made, **changes)


def test_it_survives_being_written() -> None:
    made = pages.claimed(page(), "one", 5)
    assert pages.decode(pages.encode(made)) == made


def test_two_tries_then_the_next_channel_then_a_pause_and_the_first_again() -> None:
    made, way = page(), []
    now = 0
    for _ in range(6):
        way.append((made.channel, made.next_ms - now))
        now = max(now, made.next_ms)
        made = pages.failed(made, now, "down", GIVE_UP)
    assert way == [("sms", 0), ("sms", RETRY_MS), ("mail", 0), ("mail", RETRY_MS), ("sms", PAUSE_MS), ("sms", RETRY_MS)]


def test_a_final_refusal_goes_on_at_once_and_that_channel_is_not_tried_again() -> None:
    made = pages.failed(page(), 1, "no number", GIVE_UP, final=True)
    assert (made.channel, made.next_ms) == ("mail", 1)
    for now in range(2, 5):
        made = pages.failed(made, now, "down", GIVE_UP)
        assert made.channel == "mail"
    assert pages.failed(made, 9, "no address", GIVE_UP, final=True).state is PageState.DEAD


def test_a_receipt_for_each_part_makes_it_delivered_and_a_bad_one_sends_it_on() -> None:
    sent = pages.taken(pages.claimed(page(), "one", 0), 5, ("a", "b"))
    assert (sent.state, sent.sent_by, sent.claimed_by) == (PageState.SENT, "sms", "")
    half = pages.received(sent, "a", True, "DELIVRD", 6, GIVE_UP)
    assert half.state is PageState.SENT
    assert pages.received(half, "b", True, "DELIVRD", 7, GIVE_UP).state is PageState.DELIVERED
    lost = pages.received(half, "b", False, "UNDELIV", 7, GIVE_UP)
    assert (lost.state, lost.channel) == (PageState.WAITING, "mail")
    assert pages.received(sent, "unheard-of", False, "x", 7, GIVE_UP) == sent
    assert lost.message_id == sent.message_id


def test_nobody_else_may_take_what_is_claimed_until_the_claim_ends() -> None:
    made = pages.claimed(page(), "one", 1000)
    assert not pages.may_claim(made, "sms", 1000 + CLAIM_MS - 1)
    assert pages.may_claim(made, "sms", 1000 + CLAIM_MS)
    assert not pages.may_claim(made, "mail", 1000 + CLAIM_MS)
    assert not pages.may_claim(page(next_ms=5), "sms", 4)


def test_a_dead_page_can_be_sent_once_more() -> None:
    dead = pages.settled(page(closed=("sms",)), PageState.DEAD, 5)
    again = pages.revived(dead, GIVE_UP * 2, ())
    assert pages.may_claim(again, "sms", GIVE_UP * 2)
    assert pages.failed(again, GIVE_UP * 2 + 1, "x", GIVE_UP).state is PageState.WAITING


@given(
    st.lists(st.sampled_from(("a", "b", "c", "d")), min_size=1, max_size=4, unique=True),
    st.lists(st.tuples(st.sampled_from(("transient", "final", "taken", "undelivered")), st.integers(0, 60_000))),
)
def test_every_history_ends_sent_or_dead_and_none_is_lost(channels: list[str], history: list[tuple[str, int]]) -> None:
    made, now = page(*channels), 0
    for what, delay in history:
        if made.state is not PageState.WAITING:
            break
        now = max(now, made.next_ms) + delay
        assert made.channel in channels
        assert made.channel not in made.closed
        assert made.next_ms - now <= LONGEST_PAUSE_MS
        made = pages.claimed(made, "one", now)
        if what in ("taken", "undelivered"):
            made = pages.taken(made, now, ("r",))
            if what == "undelivered":
                made = pages.received(made, "r", False, "EXPIRED", now, GIVE_UP)
        else:
            made = pages.failed(made, now, what, GIVE_UP, final=what == "final")
        assert len(made.attempts) <= pages.MAX_ATTEMPTS
    while made.state is PageState.WAITING:
        now = max(now, made.next_ms) + 1
        made = pages.failed(made, now, "down", GIVE_UP)
    assert made.state in (PageState.SENT, PageState.DEAD)
    assert now <= GIVE_UP + LONGEST_PAUSE_MS + 60_000 * (len(history) + 1)
