from __future__ import annotations

import numpy as np
import pytest

from physioclr.evaluation.pair_choice import (
    RHYTHM,
    Agreement,
    LabelledSegments,
    LabelSet,
    cross_validate,
    fold_of,
    judge,
    label_agreement,
)
from physioclr.evaluation.pair_similarity import cosines, fit_similarity
from physioclr.evaluation.tasks import label_matrix

DELTAS = (-0.2, 0.1, 0.6)


def made(size: int = 40, seed: int = 0) -> tuple[np.ndarray, LabelSet, np.ndarray]:
    """Cosines, labels of three classes, and which pairs are of different patients."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, size // 3, size)
    y = rng.random((size, 3)) < (0.5, 0.3, 0.25)
    labels = LabelSet(y, rng.random(size) < 0.8, by_class=False)
    return cosines(rng.normal(size=(size, 4)) + y @ rng.normal(size=(3, 4))), labels, patient[:, None] != patient


def expected(pairs: list[tuple[float, bool]]) -> Agreement:
    """By loops: AUROC as the share of agreeing and other pairs that are in the right order, ties half."""
    chance = np.mean([same for _, same in pairs])
    precision = []
    for delta in DELTAS:
        positive = [same for score, same in pairs if score >= delta]
        precision.append(np.mean(positive) if positive else np.nan)
    yes, no = [s for s, same in pairs if same], [s for s, same in pairs if not same]
    order = [(a > b) + 0.5 * (a == b) for a in yes for b in no]
    return Agreement(float(chance), np.array(precision), np.array(precision) / chance, float(np.mean(order)))


def same(found: Agreement, wanted: Agreement) -> None:
    for name in ("chance", "precision", "lift", "auroc"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), err_msg=name)


def test_pairs_that_share_any_class() -> None:
    cosine, labels, strangers = made()
    pairs = []
    for i in range(40):
        for j in range(i + 1, 40):
            if strangers[i, j] and labels.known[i] and labels.known[j]:
                pairs.append((cosine[i, j], any(labels.y[i] & labels.y[j])))
    same(label_agreement(cosine, labels, strangers, DELTAS), expected(pairs))


def test_pairs_of_an_anchor_class_by_class() -> None:
    cosine, labels, strangers = made()
    classes = []
    for k in range(3):
        pairs = []
        for i in range(40):
            for j in range(40):
                if i != j and strangers[i, j] and labels.known[i] and labels.known[j] and labels.y[i, k]:
                    pairs.append((cosine[i, j], bool(labels.y[j, k])))
        classes.append(expected(pairs))
    found = label_agreement(cosine, LabelSet(labels.y, labels.known, by_class=True), strangers, DELTAS)
    assert found.chance == pytest.approx(np.mean([one.chance for one in classes]))
    np.testing.assert_allclose(found.precision, np.nanmean([one.precision for one in classes], axis=0))
    np.testing.assert_allclose(found.lift, np.nanmean([one.lift for one in classes], axis=0))
    assert found.auroc == pytest.approx(np.mean([one.auroc for one in classes]))


def test_a_class_that_nobody_has_is_left_out() -> None:
    cosine, labels, strangers = made()
    empty = np.zeros((40, 1), dtype=bool)
    with_empty = LabelSet(np.concatenate([labels.y[:, :1], empty], axis=1), labels.known, by_class=True)
    alone = LabelSet(labels.y[:, :1], labels.known, by_class=True)
    same(label_agreement(cosine, with_empty, strangers, DELTAS), label_agreement(cosine, alone, strangers, DELTAS))
    nothing = label_agreement(cosine, LabelSet(empty, labels.known, by_class=True), strangers, DELTAS)
    assert np.isnan(nothing.chance)
    assert np.isnan(nothing.lift).all()


def segments(size: int = 90, seed: int = 1) -> LabelledSegments:
    rng = np.random.default_rng(seed)
    recording = np.arange(size) // 2
    y = (rng.random((size // 2, 2)) < 0.4).repeat(2, axis=0)
    features = rng.normal(size=(size, 150)) + y @ rng.normal(size=(2, 150))
    features[rng.random(features.shape) < 0.05] = np.nan
    labels = {"any": LabelSet(y, y.any(axis=1), by_class=False)}
    return LabelledSegments(features, rng.random(size) < 0.9, recording, recording // 2, labels)


def test_patients_are_parted_evenly() -> None:
    patient = np.random.default_rng(0).integers(0, 31, 200) * 7
    fold = fold_of(patient, 3, seed=4)
    of = {one: set(fold[patient == one].tolist()) for one in patient}
    assert all(len(folds) == 1 for folds in of.values())
    sizes = np.bincount([next(iter(folds)) for folds in of.values()])
    assert sizes.max() - sizes.min() <= 1
    assert (fold != fold_of(patient, 3, seed=5)).any()


def test_a_fold_is_judged_by_what_was_fitted_on_the_others() -> None:
    every = segments()
    fold = fold_of(every.patient, 3, 0)
    judged = cross_validate(every, DELTAS, rule="mean", components=5, clip=5.0, folds=3, seed=0)
    assert len(judged) == 3
    for held_out, found in enumerate(judged):
        train, test = every.take(fold != held_out), every.take(fold == held_out)
        similarity = fit_similarity(train.features[train.usable], "mean", 5, 5.0)
        wanted = judge(test, similarity(test.features[test.usable]), DELTAS)
        same(found.agreement["any"], wanted.agreement["any"])
        np.testing.assert_array_equal(found.positive, wanted.positive)


def test_positives_and_halves_are_counted_apart() -> None:
    every = segments(30)
    cosine = cosines(np.nan_to_num(every.features[every.usable]))
    found = judge(every, cosine, DELTAS)
    patient, recording = every.patient[every.usable], every.recording[every.usable]
    positive, halves = [], []
    for i in range(len(patient)):
        for j in range(i + 1, len(patient)):
            if patient[i] != patient[j]:
                positive.append(cosine[i, j])
            if recording[i] == recording[j]:
                halves.append(cosine[i, j])
    for place, delta in enumerate(DELTAS):
        assert found.positive[place] == pytest.approx(np.mean(np.array(positive) >= delta))
        assert found.halves[place] == pytest.approx(np.mean(np.array(halves) >= delta))
    assert found.usable == pytest.approx(every.usable.mean())
    assert found.missing == pytest.approx(np.isnan(every.features[every.usable]).mean())


def test_features_that_know_the_label_lift_it() -> None:
    judged = cross_validate(segments(180), (0.3,), rule="mean", components=5, clip=5.0)
    assert np.mean([one.agreement["any"].lift[0] for one in judged]) > 1.3
    assert np.mean([one.agreement["any"].auroc for one in judged]) > 0.7


def test_rhythms_are_read_from_statements_or_codes() -> None:
    labels = [(), ("164889003",), ("426177001", "59118001"), (), ("164889003",)]
    statements = [("NORM", "SR"), (), (), (), ("IMI",)]
    y, known = label_matrix(RHYTHM, labels, statements)
    assert known.tolist() == [True, True, True, False, True]
    assert [[name for name, has in zip(RHYTHM.classes, row, strict=True) if has] for row in y] == [
        ["SR"],
        ["AFIB"],
        ["SBRAD"],
        [],
        [],
    ]
