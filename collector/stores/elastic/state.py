"""Named documents with compare-and-set by sequence number and primary term, in the index ``PREFIX-state``."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from elasticsearch import Elasticsearch, NotFoundError

from collector.store import Conflict, State
from collector.stores.elastic.connection import Rejected, errors_told
from collector.stores.elastic.indices import Indices

PAGE = 1000
TERM_SHIFT = 40
"""A version is ``primary term << 40 | sequence number``; terms start at 1, so no document has version 0."""


class States:
    def __init__(self, client: Elasticsearch, indices: Indices) -> None:
        self._client = client
        self._indices = indices

    def read(self, key: str) -> State:
        index = self._indices.prepare_state()
        with errors_told():
            try:
                answer = self._client.get(index=index, id=key)
            except NotFoundError:
                return State(key, b"", 0)
        return State(key, base64.b64decode(answer["_source"]["value"]), _version(answer))

    def write(self, key: str, value: bytes, version: int) -> int:
        index = self._indices.prepare_state()
        document = {"key": key, "value": base64.b64encode(value).decode()}
        try:
            with errors_told():
                if version:
                    answer = self._client.index(
                        index=index,
                        id=key,
                        document=document,
                        if_seq_no=version & (1 << TERM_SHIFT) - 1,
                        if_primary_term=version >> TERM_SHIFT,
                    )
                else:
                    answer = self._client.create(index=index, id=key, document=document)
        except Rejected as error:
            if error.status == 409:
                raise Conflict(key) from error
            raise
        return _version(answer)

    def delete(self, key: str) -> None:
        index = self._indices.prepare_state()
        with errors_told():
            try:
                self._client.delete(index=index, id=key)
            except NotFoundError:
                return

    def all(self, prefix: str) -> Sequence[State]:
        """In order of key. The refresh makes what was written just now visible; it costs nothing where nothing was."""
        index = self._indices.prepare_state()
        found: list[State] = []
        after: list[object] | None = None
        with errors_told():
            self._client.indices.refresh(index=index)
            while True:
                answer = self._client.search(
                    index=index,
                    query={"prefix": {"key": prefix}},
                    sort=[{"key": "asc"}],
                    size=PAGE,
                    search_after=after,
                    seq_no_primary_term=True,
                    allow_partial_search_results=False,
                )
                hits = answer["hits"]["hits"]
                found += [State(h["_id"], base64.b64decode(h["_source"]["value"]), _version(h)) for h in hits]
                if len(hits) < PAGE:
                    return found
                after = hits[-1]["sort"]


def _version(answer: object) -> int:
    held: dict[str, int] = answer  # type: ignore[assignment]  # an answer or a hit of the client
    return held["_primary_term"] << TERM_SHIFT | held["_seq_no"]
