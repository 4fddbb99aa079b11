from __future__ import annotations

from enum import StrEnum

import pytest

from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.sources.demo.conditions import (
    ECTOPY_SHARES,
    MORPHOLOGY_SHARES,
    RHYTHM_SHARES,
    Ectopy,
    Morphology,
    Rhythm,
    labels,
    pick,
)


@pytest.mark.parametrize("shares", [RHYTHM_SHARES, MORPHOLOGY_SHARES, ECTOPY_SHARES])
def test_shares_cover_everybody(shares: dict[StrEnum, float]) -> None:
    assert set(shares) == set(type(next(iter(shares))))
    assert sum(shares.values()) == pytest.approx(1.0)
    picked = [pick(shares, (i + 0.5) / 10_000) for i in range(10_000)]
    for condition, share in shares.items():
        assert picked.count(condition) / 10_000 == pytest.approx(share, abs=2e-4)


def test_pick_at_the_very_end_is_the_last_condition() -> None:
    assert pick(ECTOPY_SHARES, 1.0 - 1e-17) is Ectopy.VENTRICULAR


@pytest.mark.parametrize("code", [code for kind in (Rhythm, Ectopy, Morphology) for code in kind if code])
def test_every_label_is_a_scored_class_in_its_canonical_form(code: str) -> None:
    assert code in {scored.codes[0] for scored in SCORED_CLASSES}


def test_labels_name_what_can_be_seen() -> None:
    assert labels(Rhythm.SINUS, Ectopy.NONE, Morphology.NORMAL) == ("426783006",)
    assert labels(Rhythm.SINUS, Ectopy.ATRIAL, Morphology.LONG_PR) == ("426783006", "284470004", "270492004")
    # without P waves there is no PR interval to be long
    assert labels(Rhythm.FIBRILLATION, Ectopy.NONE, Morphology.LONG_PR) == ("164889003",)
