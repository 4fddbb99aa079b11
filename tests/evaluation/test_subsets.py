from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.errors import DatasetError
from physioclr.evaluation.subsets import cross_validation, fixed_split, label_fraction, patient_folds

SHARES = (0.5, 0.25, 0.1, 0.03)
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 1.0)


def _archive(seed: int = 0, patients: int = 1000) -> tuple[list[str], np.ndarray]:
    """Patients with one to three recordings, in mixed order, and outcomes [n, 4] of which some patients have none."""
    generator = np.random.default_rng(seed)
    of_row = generator.permutation(np.repeat(np.arange(patients), generator.integers(1, 4, patients)))
    y = (generator.random((patients, len(SHARES))) < SHARES)[of_row]
    return [f"p{number}" for number in of_row], y


def _by_patient(patients: list[str], y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Patients among `rows` with each class: int [C]."""
    classes: dict[str, np.ndarray] = {}
    for row in rows:
        classes[patients[row]] = classes.get(patients[row], np.zeros(y.shape[1], dtype=bool)) | y[row]
    return np.sum(list(classes.values()), axis=0)


@pytest.mark.parametrize("fraction", FRACTIONS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_fraction_has_its_share_of_patients_and_of_each_class(fraction: float, seed: int) -> None:
    patients, y = _archive()
    rows = label_fraction(patients, y, fraction, seed)
    chosen = {patients[row] for row in rows}
    assert len(chosen) == round(1000 * fraction)
    assert rows.tolist() == [row for row in range(len(patients)) if patients[row] in chosen]  # all of each patient's
    expected = _by_patient(patients, y, np.arange(len(patients))) * fraction
    assert np.abs(_by_patient(patients, y, rows) - expected).max() < 1.5


def test_a_patient_has_what_any_of_the_patients_rows_has() -> None:
    patients = [f"p{number}" for number in range(100)] * 2
    y = np.zeros((200, 1), dtype=bool)
    y[:10] = True  # the first recordings of ten patients; their second ones show nothing
    for seed in range(5):
        rows = label_fraction(patients, y, 0.1, seed)
        assert y[rows].sum() == 1
        fold = patient_folds(patients, y, 5, seed)
        assert [int(y[fold == number].sum()) for number in range(5)] == [2] * 5


def test_smaller_fractions_are_within_larger_ones() -> None:
    patients, y = _archive()
    subsets = [set(label_fraction(patients, y, fraction, 0)) for fraction in FRACTIONS]
    assert all(small < large for small, large in pairwise(subsets))
    assert len(subsets[-1]) == len(patients)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 5), st.floats(0.01, 1.0))
def test_the_same_patients_whatever_the_order_of_rows(shuffle: int, seed: int, fraction: float) -> None:
    patients, y = _archive(patients=60)
    order = np.random.default_rng(shuffle).permutation(len(patients))
    shuffled = [patients[row] for row in order]
    first = {patients[row] for row in label_fraction(patients, y, fraction, seed)}
    assert first == {shuffled[row] for row in label_fraction(shuffled, y[order], fraction, seed)}
    assert first
    folds = patient_folds(patients, y, 3, seed)
    np.testing.assert_array_equal(patient_folds(shuffled, y[order], 3, seed), folds[order])


def test_the_seed_chooses_the_patients() -> None:
    patients, y = _archive()
    first, second = (set(label_fraction(patients, y, 0.05, seed)) for seed in (0, 1))
    assert len(first & second) < 0.5 * len(first)
    assert (patient_folds(patients, y, 5, 0) != patient_folds(patients, y, 5, 1)).any()


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_folds_keep_patients_whole_and_spread_each_class_evenly(folds: int) -> None:
    patients, y = _archive()
    fold = patient_folds(patients, y, folds, 0)
    assert len({(patient, number) for patient, number in zip(patients, fold, strict=True)}) == 1000
    counts = np.array([_by_patient(patients, y, np.flatnonzero(fold == number)) for number in range(folds)])
    even = _by_patient(patients, y, np.arange(len(patients))) / folds
    # what a patient has beside its rarest class is not chosen, so commoner classes are a little less even
    assert np.abs(counts - even).max() <= 3.0
    assert np.abs(counts[:, 3] - even[3]).max() < 1.0
    sizes = [len({patients[row] for row in np.flatnonzero(fold == number)}) for number in range(folds)]
    assert max(sizes) - min(sizes) <= 0.1 * 1000 / folds


def test_cross_validation_tests_every_row_once_and_never_on_what_it_trained_on() -> None:
    fold = np.array([3, 1, 2, 10, 1, 3])  # numbers as a publisher gives them
    splits = [cross_validation(fold, index) for index in range(4)]
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(6))
    assert (splits[0].test.tolist(), splits[0].validation.tolist(), splits[0].train.tolist()) == (
        [1, 4],
        [2],
        [0, 3, 5],
    )
    assert (splits[3].test.tolist(), splits[3].validation.tolist()) == ([3], [1, 4])
    with pytest.raises(ValueError, match="at least 3"):
        cross_validation([0, 1], 0)


def test_a_fixed_split_is_taken_as_it_is() -> None:
    split = fixed_split(["test", "train", "", "validation", "train"], ["a", "b", "a", "c", "d"])
    assert (split.train.tolist(), split.validation.tolist(), split.test.tolist()) == ([1, 4], [3], [0])


def test_splits_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DatasetError, match="1 patients have recordings in more than one split"):
        fixed_split(["train", "validation", "test"], ["a", "b", "a"])
    with pytest.raises(DatasetError, match="validation or test"):
        fixed_split(["train", "train"], ["a", "b"])
    with pytest.raises(DatasetError, match="2 patients cannot fill 3 folds"):
        patient_folds(["a", "b", "a"], np.zeros((3, 1)), 3, 0)
    with pytest.raises(ValueError, match="fraction"):
        label_fraction(["a"], np.zeros((1, 1)), 0.0, 0)
    with pytest.raises(ValueError, match="patients"):
        label_fraction(["a", "b"], np.zeros((1, 1)), 0.5, 0)
