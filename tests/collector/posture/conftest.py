"""The stores of the contract suite: a score must be the same from each of them."""

from __future__ import annotations

from tests.collector.stores.conftest import clock, elasticsearch_9, engine, make, report, store

__all__ = ["clock", "elasticsearch_9", "engine", "make", "report", "store"]
