from collections import Counter
from pathlib import Path

import numpy as np

from physioclr.features.columns import COLUMNS, markdown_table
from physioclr.features.delineation import STATUSES

DOCS = Path(__file__).parents[2] / "docs" / "features.md"


def test_there_are_150_columns_in_the_groups_of_the_paper() -> None:
    assert Counter(column.group for column in COLUMNS) == {"beat": 100, "statistic": 40, "segment": 10}


def test_names_are_unique_and_every_column_is_defined() -> None:
    assert len({column.name for column in COLUMNS}) == 150
    assert all(column.unit and column.definition for column in COLUMNS)


def test_documentation_holds_the_generated_table() -> None:
    assert markdown_table() in DOCS.read_text()


def test_documentation_explains_every_status() -> None:
    text = DOCS.read_text()
    assert all(f"| `{word}` | {meaning} |" in text for word, meaning in STATUSES.items())


def test_table_numbers_every_column_once() -> None:
    numbers = []
    for row in markdown_table().splitlines()[2:]:
        first, _, last = row.split("|")[1].strip().partition("-")
        numbers += range(int(first), int(last or first) + 1)
    assert np.array_equal(numbers, np.arange(150))
