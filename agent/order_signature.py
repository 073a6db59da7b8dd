"""Is an order the collector's own? Imported only where there is one: cryptography is large."""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from telemetry.errors import Permanent
from telemetry.order import MAX_PAYLOAD, Order, SignedOrder, parse, to_be_signed


def verify(signed: SignedOrder, ca_pem: bytes) -> Order:
    """Raises Permanent: forged, bad_order. Nothing in the payload is looked at before its signature holds."""
    if len(signed.payload) > MAX_PAYLOAD or len(signed.signature) > 200:
        raise Permanent("forged", "it is longer than any order")
    try:
        key = x509.load_pem_x509_certificate(ca_pem).public_key()
        signature = base64.b64decode(signed.signature, validate=True)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Permanent("forged", "the authority's key signs no orders")
        key.verify(signature, to_be_signed(signed.payload), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Permanent("forged", "it is not signed by the authority that enrolled this agent") from error
    return parse(signed.payload)
