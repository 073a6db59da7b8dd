from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.changes import Change, ChangeTable

Rows = dict[str, int]


def compare(table: ChangeTable[str], rows: Rows, now: float, complete: bool = True) -> list[tuple[str, str]]:
    return [
        (change.value, row)
        for change, row in table.compare({key: (value, key) for key, value in rows.items()}, now, complete)
    ]


def test_only_differences_are_told_and_everything_again_in_time() -> None:
    table: ChangeTable[str] = ChangeTable(600)
    assert compare(table, {"a": 1, "b": 1}, 0) == [("info", "a"), ("info", "b")]
    assert compare(table, {"a": 1, "b": 1}, 15) == []
    assert compare(table, {"a": 2, "c": 1}, 30) == [("change", "a"), ("creation", "c"), ("deletion", "b")]
    assert compare(table, {"a": 2, "d": 1}, 600) == [("info", "a"), ("creation", "d"), ("deletion", "c")]
    assert compare(table, {"a": 2, "d": 1}, 700) == []


def test_what_a_cut_round_did_not_show_is_not_gone() -> None:
    table: ChangeTable[str] = ChangeTable(600)
    compare(table, {"a": 1, "b": 1}, 0)
    assert compare(table, {"a": 1}, 15, complete=False) == []


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)), min_size=1, max_size=10))
def test_who_follows_what_is_told_knows_the_last_round(rounds: list[Rows]) -> None:
    table: ChangeTable[str] = ChangeTable(40)
    known: Rows = {}
    for number, rows in enumerate(rounds):
        for change, key in compare(table, rows, number * 15):
            if change == Change.DELETION:
                del known[key]
            else:
                known[key] = rows[key]
        assert known == rows
