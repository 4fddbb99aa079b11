import pytest

from physioclr.sources.person import parse_age, parse_sex


@pytest.mark.parametrize(
    ("text", "age"),
    [("56.0", 56.0), ("0", 0.0), ("300", 90.0), ("300.0", 90.0), ("121", None), ("-1", None), ("", None), (None, None)],
)
def test_ages(text, age):
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["NaN", "Unknown", "inf", "sixty"])
def test_ages_that_are_no_numbers_are_unknown(text):
    assert parse_age(text) is None


def test_sexes():
    assert [parse_sex(text) for text in ("F", "Female", " male ", "m")] == ["female", "female", "male", "male"]
    assert [parse_sex(text) for text in ("", None, "Unknown", "0")] == [None] * 4
