"""An order is the collector's own, or it is nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.order_signature import verify
from telemetry.errors import Permanent
from telemetry.order import Action, SignedOrder, payload_of
from tests.agent.actions.lan import order
from tests.agent.order_signing import signature, signed
from tests.agent.tls_site import Authority

OURS, OTHER = Authority(), Authority("another CA")
MADE = order(Action.BLOCK_SOURCE, mac="02:00:00:00:00:66")


def test_what_the_authority_signed_is_read_as_it_was_written() -> None:
    assert verify(signed(OURS, MADE), OURS.pem.encode()) == MADE


@pytest.mark.parametrize(
    "forged",
    [
        signed(OTHER, MADE),
        SignedOrder(payload_of(MADE).replace("66", "67"), signed(OURS, MADE).signature),
        SignedOrder(payload_of(MADE) + " ", signed(OURS, MADE).signature),
        SignedOrder(payload_of(MADE), signature(OURS, payload_of(MADE).encode())),
        SignedOrder(payload_of(MADE), ""),
        SignedOrder(payload_of(MADE), "not base64!"),
        SignedOrder("x" * 5000, signature(OURS, b"")),
    ],
    ids=["another CA", "a changed target", "one byte more", "without the prefix", "none", "no base64", "too long"],
)
def test_anything_else_is_forged(forged: SignedOrder) -> None:
    with pytest.raises(Permanent, match="forged"):
        verify(forged, OURS.pem.encode())


@given(st.text(max_size=300), st.text(max_size=120) | st.binary(max_size=80).map(lambda b: b.hex()))
def test_any_two_texts_are_refused(payload: str, mark: str) -> None:
    with pytest.raises(Permanent):
        verify(SignedOrder(payload, mark), OURS.pem.encode())


@given(st.text(max_size=300) | st.just("[" * 3000) | st.just('{"id": 1}'))
def test_a_signed_text_that_is_no_order_is_refused(payload: str) -> None:
    from telemetry.order import to_be_signed

    with pytest.raises(Permanent, match="bad_order"):
        verify(SignedOrder(payload, signature(OURS, to_be_signed(payload))), OURS.pem.encode())
