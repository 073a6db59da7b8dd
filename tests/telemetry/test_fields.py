from __future__ import annotations

import re

from telemetry.event import PRIORITY_OF_DATASET
from telemetry.fields import BY_NAME, FIELDS, Type


def test_names_are_unique_and_dotted_lower_case() -> None:
    assert len(BY_NAME) == len(FIELDS)
    assert [f.name for f in FIELDS if not re.fullmatch(r"@timestamp|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", f.name)] == []


def test_no_field_is_also_the_parent_of_another() -> None:
    """A name can not be a value and an object at once in an Elasticsearch mapping."""
    parents = {f.name.rsplit(".", n)[0] for f in FIELDS for n in range(1, f.name.count(".") + 1)}
    assert parents & set(BY_NAME) == set()


def test_every_field_says_what_it_means_in_both_languages() -> None:
    for field in FIELDS:
        assert field.meaning, field.name
        assert field.zh, field.name
        assert field.en, field.name


def test_times_state_their_unit() -> None:
    assert [f.name for f in FIELDS if f.type is Type.DATE and f.unit != "ms"] == []


def test_a_dataset_with_a_priority_is_one_of_ours() -> None:
    assert all(dataset.startswith("tengwang.") for dataset in PRIORITY_OF_DATASET)
