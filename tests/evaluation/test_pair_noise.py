from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physioclr.evaluation.pair_noise import KeptPairs, column_groups, kept_pairs, pair_matrix, shift, with_group
from physioclr.features.columns import COLUMNS, MEASURES
from physioclr.features.reducer import Reducer

NAMES = [column.name for column in COLUMNS]


def symmetric(bits: list[bool], size: int) -> np.ndarray:
    matrix = np.zeros((size, size), dtype=bool)
    matrix[np.triu_indices(size, 1)] = bits
    return matrix | matrix.T | np.eye(size, dtype=bool)


@given(st.lists(st.booleans(), min_size=10, max_size=10), st.lists(st.booleans(), min_size=10, max_size=10))
def test_kept_pairs_are_counted_as_by_hand(first: list[bool], second: list[bool]) -> None:
    before, after = symmetric(first, 5), symmetric(second, 5)
    counts = [0, 0, 0]
    for i in range(5):
        for j in range(i + 1, 5):
            counts[0] += before[i, j]
            counts[1] += after[i, j]
            counts[2] += before[i, j] and after[i, j]
    assert kept_pairs(before, after) == KeptPairs(*counts)


def test_the_shares() -> None:
    kept = KeptPairs(before=10, after=6, both=4)
    assert (kept.sensitivity, kept.precision, kept.jaccard) == pytest.approx((0.4, 4 / 6, 4 / 12))
    assert np.isnan([KeptPairs(0, 0, 0).sensitivity, KeptPairs(0, 0, 0).precision, KeptPairs(0, 0, 0).jaccard]).all()


def test_pairs_are_of_usable_segments_of_different_recordings() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 150))
    usable = np.array([True] * 9 + [False] * 3)
    recording = np.arange(12) // 2
    reducer = Reducer.fit(features[usable], 5)
    found = pair_matrix(reducer, features, usable, recording, 0.1)
    reduced = reducer.transform(features).astype(float)
    for i in range(12):
        for j in range(12):
            cosine = reduced[i] @ reduced[j] / np.linalg.norm(reduced[i]) / np.linalg.norm(reduced[j])
            expected = usable[i] and usable[j] and recording[i] != recording[j] and cosine >= 0.1
            assert found[i, j] == expected, (i, j)
    assert found.any()


def test_every_column_is_in_one_group() -> None:
    groups = column_groups()
    assert list(groups) == [*(measure.name for measure in MEASURES), "rhythm", "shape"]
    assert sorted(np.concatenate(list(groups.values())).tolist()) == list(range(len(COLUMNS)))
    for measure in MEASURES:
        named = [NAMES[i] for i in groups[measure.name]]
        assert named[0] == f"{measure.name}_01"
        assert named[10:] == [f"{measure.name}_{statistic}" for statistic in ("mean", "sd", "median", "iqr")]
    assert [NAMES[i] for i in groups["rhythm"]] == ["rmssd", "pnn50", "rr_cv", "premature"]
    assert "st_level" in [NAMES[i] for i in groups["shape"]]


def test_a_shift_is_in_standard_deviations_and_passes_over_what_is_missing() -> None:
    rng = np.random.default_rng(1)
    clean, noisy = rng.normal(size=(2, 30, 4)).astype(np.float32)
    clean[rng.random((30, 4)) < 0.2] = np.nan
    noisy[rng.random((30, 4)) < 0.3] = np.nan
    scale = np.array([1.0, 2.0, 0.5, 4.0])
    changes, was, lost = [], 0, 0
    for i in range(30):
        for j in range(4):
            if not np.isnan(clean[i, j]):
                was += 1
                if np.isnan(noisy[i, j]):
                    lost += 1
                else:
                    changes.append(abs(float(noisy[i, j]) - float(clean[i, j])) / scale[j])
    found = shift(clean, noisy, scale)
    assert found.change == pytest.approx(np.median(changes))
    assert found.lost == pytest.approx(lost / was)
    empty = shift(clean[:0], noisy[:0], scale)
    assert np.isnan([empty.change, empty.lost]).all()


def test_one_group_moves_alone() -> None:
    clean, noisy = np.zeros((3, 150)), np.ones((3, 150))
    columns = column_groups()["qtc"]
    mixed = with_group(clean, noisy, columns)
    assert sorted(np.flatnonzero(mixed[0])) == sorted(columns)
    assert not clean.any()
