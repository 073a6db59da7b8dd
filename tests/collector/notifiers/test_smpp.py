"""SMPP against an SMSC that is not ours (jSMPP) over IPv6: UCS-2, parts, receipts, refusals, breaks; and strangers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.notifier import Message, NotifierContext, Receipt, Recipient
from collector.notifiers import smpp
from collector.notifiers.smpp import Config, Smpp
from collector.smpp_text import MAX_PARTS, digits, parts, receipt_of
from telemetry.errors import Permanent, Transient
from tests.parts import smsc as smsc_part
from tests.parts.smsc import Smsc

Keep = Callable[..., str]


@pytest.fixture(scope="module")
def smsc() -> Iterator[Smsc]:
    with smsc_part.start("::1") as running:
        yield running


@pytest.fixture
def notifier(smsc: Smsc, context: NotifierContext, keep: Keep) -> Iterator[Smpp]:
    smsc.command("receipts DELIVRD")
    smsc.command("password secret")
    config = Config(
        host="::1",
        port=smsc.port,
        user="tengwang",
        password_file=keep("password", "secret"),
        source="10690000",
        country="86",
        timeout_s=6,
        enquire_s=1,
    )
    made = smpp.build(config, context)
    yield made
    made.close()


def wait_for(receipts: list[Receipt], count: int) -> None:
    until = time.monotonic() + 10
    while len(receipts) < count and time.monotonic() < until:
        time.sleep(0.02)
    assert len(receipts) == count


@pytest.mark.needs("smsc")
def test_a_long_chinese_message_goes_in_parts_and_every_receipt_comes(
    smsc: Smsc, notifier: Smpp, message: Message, receipts: list[Receipt]
) -> None:
    before = len(smsc.taken)
    sent = notifier.notify(message)
    taken = smsc.taken[before:]
    assert sent.parts == len(taken) == 2
    assert "".join(smsc_part.text(one) for one in taken) == message.text
    assert {(one["to"], one["ton"], one["from"], one["coding"]) for one in taken} == {
        ("8613800000001", 1, "10690000", 8)
    }
    assert all(one["esm"] & 0x40 and one["registered"] == 1 for one in taken)
    wait_for(receipts, 2)
    assert {receipt.id for receipt in receipts} == set(sent.receipts)
    assert all(receipt.delivered and receipt.detail == "DELIVRD" for receipt in receipts)


@pytest.mark.needs("smsc")
def test_a_short_one_is_one_message(smsc: Smsc, notifier: Smpp, message: Message) -> None:
    short = msgspec.structs.replace(message, id="short", text="【滕网】高 路由器")
    before = len(smsc.taken)
    assert notifier.notify(short).parts == 1
    assert smsc_part.text(smsc.taken[before]) == short.text
    assert smsc.taken[before]["esm"] == 0


@pytest.mark.needs("smsc")
def test_what_did_not_arrive_is_told(smsc: Smsc, notifier: Smpp, message: Message, receipts: list[Receipt]) -> None:
    smsc.command("receipts UNDELIV")
    sent = notifier.notify(msgspec.structs.replace(message, id="lost", text="短"))
    wait_for(receipts, 1)
    assert receipts[0] == Receipt(sent.receipts[0], False, "UNDELIV")


@pytest.mark.needs("smsc")
def test_parts_that_were_taken_are_not_sent_again(smsc: Smsc, notifier: Smpp, message: Message) -> None:
    once = msgspec.structs.replace(message, id="half")
    notifier.notify(msgspec.structs.replace(message, id="warm", text="x"))
    before = len(smsc.taken)
    smsc.command("drop")
    smsc.command("status 0x58")  # throttled, on the first part
    with pytest.raises(Transient):
        notifier.notify(once)
    deadline = time.monotonic() + 10
    while True:
        try:
            sent = notifier.notify(once)
            break
        except Transient:
            assert time.monotonic() < deadline
    assert sent.parts == 2
    while len(smsc.taken) < before + 2 and time.monotonic() < deadline:
        time.sleep(0.02)  # the gateway tells of a part after it has answered for it
    time.sleep(0.3)  # a third one would be a repeat
    taken = smsc.taken[before:]
    assert "".join(smsc_part.text(one) for one in taken) == once.text
    assert len(taken) == 2


@pytest.mark.needs("smsc")
def test_a_refused_number_is_final_and_a_busy_gateway_is_not(smsc: Smsc, notifier: Smpp, message: Message) -> None:
    notifier.notify(msgspec.structs.replace(message, id="warm2", text="x"))
    smsc.command("status 0x0b")
    with pytest.raises(Permanent, match="Invalid Destination Address"):
        notifier.notify(msgspec.structs.replace(message, id="bad", text="x"))
    smsc.command("status 0x14")
    with pytest.raises(Transient, match="0x00000014"):
        notifier.notify(msgspec.structs.replace(message, id="busy", text="x"))
    notifier.notify(msgspec.structs.replace(message, id="busy", text="x"))


@pytest.mark.needs("smsc")
def test_it_binds_again_after_a_break_and_asks_whether_the_line_lives(
    smsc: Smsc, notifier: Smpp, message: Message
) -> None:
    notifier.notify(msgspec.structs.replace(message, id="one", text="x"))
    asked = sum("enquired" in line for line in smsc.lines())
    smsc.wait("enquired", asked + 2)
    smsc.command("drop")
    time.sleep(0.3)
    bound = sum("bound" in line for line in smsc.lines())
    notifier.notify(msgspec.structs.replace(message, id="two", text="x"))
    assert sum("bound" in line for line in smsc.lines()) == bound + 1


@pytest.mark.needs("smsc")
def test_a_wrong_password_is_said(smsc: Smsc, notifier: Smpp, message: Message) -> None:
    smsc.command("password other")
    with pytest.raises(Transient, match="Invalid Password"):
        notifier.notify(message)


@pytest.mark.needs("smsc")
def test_a_gateway_that_takes_and_never_answers_costs_no_more_than_the_timeout(
    smsc: Smsc, notifier: Smpp, message: Message
) -> None:
    notifier.notify(msgspec.structs.replace(message, id="warm3", text="x"))
    smsc.command("silent")
    try:
        begin = time.monotonic()
        with pytest.raises(Transient, match="no answer"):
            notifier.notify(msgspec.structs.replace(message, id="hang", text="x"))
        assert time.monotonic() - begin < 6
    finally:
        smsc.command("loud")


def test_nobody_without_a_number_and_nothing_where_nobody_listens(context: NotifierContext, message: Message) -> None:
    made = smpp.build(Config(host="::1", port=9, timeout_s=1), context)
    with pytest.raises(Permanent, match="no phone number"):
        made.notify(msgspec.structs.replace(message, to=Recipient("x", "x")))
    with pytest.raises(Transient, match="no session"):
        made.notify(message)
    made.close()


@pytest.mark.parametrize(
    "babble",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00" * 8,
        b"\x00\x00\x00\x10\x80\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x02",  # a bind answer without its name
        b"\x00\x00\x00\x14\x80\x00\x00\x77\x00\x00\x00\x00\x00\x00\x00\x02abcd",
    ],
)
def test_a_stranger_is_transient_in_bounded_time(context: NotifierContext, message: Message, babble: bytes) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(babble)
                ended.wait(8)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        made = smpp.build(Config(host="::1", port=listening.getsockname()[1], timeout_s=3), context)
        begin = time.monotonic()
        with pytest.raises(Transient):
            made.notify(message)
        assert time.monotonic() - begin < 5
        made.close()
        ended.set()
        thread.join()


@given(st.text(max_size=900), st.text(min_size=1, max_size=20))
def test_parts_put_together_are_the_text(text: str, name: str) -> None:
    made = parts(text, name)
    assert all(len(piece) <= 140 for piece in made)
    assert made == parts(text, name)
    if len(made) == 1:
        whole = made[0]
    else:
        assert {piece[:5] for piece in made} == {made[0][:5]}
        assert [piece[5] for piece in made] == list(range(1, len(made) + 1))
        whole = b"".join(piece[6:] for piece in made)
    expected = text.encode("utf-16-be", "replace")
    assert whole == expected or (len(made) == MAX_PARTS and expected.startswith(whole))
    for piece in made:
        (piece if len(made) == 1 else piece[6:]).decode("utf-16-be")


@given(st.binary(max_size=300), st.text(max_size=30), st.none() | st.integers(0, 255), st.integers(0, 255))
def test_any_receipt_is_read_or_left(text: bytes, name: str, state: int | None, esm: int) -> None:
    found = receipt_of(text, name, state, esm)
    assert found is None or (found[0] and isinstance(found[1], bool))


def test_receipts_as_gateways_write_them() -> None:
    told = b"id:00123ABC sub:001 dlvrd:001 submit date:2611260830 done date:2611260830 stat:DELIVRD err:000 text:x"
    assert receipt_of(told, "", None, 4) == ("123abc", True, "DELIVRD")
    assert receipt_of(b"", "00123ABC", 5, 0) == ("123abc", False, "UNDELIV")
    assert receipt_of(told.replace(b"DELIVRD", b"ENROUTE"), "", None, 4) is None
    assert receipt_of(b"hello id:1 stat:DELIVRD", "", None, 0) is None


@pytest.mark.parametrize(
    ("phone", "country", "wanted"),
    [
        ("13800000001", "86", ("8613800000001", True)),
        ("+86 138-0000-0001", "86", ("8613800000001", True)),
        ("0791-83880001", "86", ("8679183880001", True)),
        ("13800000001", "", ("13800000001", False)),
        ("12345", "86", ("12345", False)),
        ("", "86", ("", False)),
    ],
)
def test_numbers(phone: str, country: str, wanted: tuple[str, bool]) -> None:
    assert digits(phone, country) == wanted
