"""Age and sex as sources spell them. What cannot be read is unknown, never a number that stands for unknown."""

from __future__ import annotations

OVER_89 = 300.0  # how PTB-XL hides ages above 89 (its documentation, `age`)
OLDEST = 120.0


def parse_age(text: str | None) -> float | None:
    """Age in years, or None. PTB-XL's 300, "older than 89", becomes 90, which so means "90 or more" there."""
    try:
        age = float(text or "nan")
    except ValueError:
        return None
    if age == OVER_89:
        return 90.0
    return age if 0.0 <= age <= OLDEST else None  # also refuses NaN


def parse_sex(text: str | None) -> str | None:
    """`female`, `male` or None, from words or first letters in any case."""
    word = (text or "").strip().lower()
    return {"f": "female", "female": "female", "m": "male", "male": "male"}.get(word)
