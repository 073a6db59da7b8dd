"""Signed orders as a collector makes them, with an authority of the test's own."""

from __future__ import annotations

import base64

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from telemetry.order import Order, SignedOrder, SignedOrders, bundle, payload_of, to_be_signed
from tests.agent.tls_site import Authority


def signed(authority: Authority, order: Order, **changes: object) -> SignedOrder:
    payload = payload_of(msgspec.structs.replace(order, **changes))
    return SignedOrder(payload, signature(authority, to_be_signed(payload)))


def signature(authority: Authority, data: bytes) -> str:
    return base64.b64encode(authority.key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def given(*orders: SignedOrder) -> SignedOrders:
    return bundle(orders)
