from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from physioclr.errors import ConfigError
from physioclr.evaluation.pair_similarity import RULES, cosines, fit_similarity, mean_known
from physioclr.features.columns import COLUMNS, STATISTIC_COLUMNS
from physioclr.features.reducer import Reducer

NAMES = [column.name for column in COLUMNS]


@pytest.fixture
def rows() -> np.ndarray:
    """Rows [60, 150] of correlated columns of different scale, a tenth of the values missing."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 150)) * rng.uniform(0.1, 50, 150) + rng.normal(size=150)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values.astype(np.float32)


def by_loop(rows: np.ndarray) -> np.ndarray:
    found = np.zeros((len(rows), len(rows)))
    for i, a in enumerate(rows.astype(float)):
        for j, b in enumerate(rows.astype(float)):
            found[i, j] = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return found


def test_cosines() -> None:
    rows = np.random.default_rng(1).normal(size=(7, 3))
    np.testing.assert_allclose(cosines(rows), by_loop(rows))
    assert cosines(np.zeros((1, 3))) == 0.0


@pytest.mark.parametrize(("rule", "marked"), [("mean", ()), ("absent", STATISTIC_COLUMNS), ("indicator", range(150))])
def test_a_rule_is_what_the_reducer_does(rows: np.ndarray, rule: str, marked: Sequence[int]) -> None:
    reducer = Reducer.fit(rows[:40], 10, 5.0, marked)
    np.testing.assert_allclose(
        fit_similarity(rows[:40], rule, 10, 5.0)(rows[40:]), by_loop(reducer.transform(rows[40:])), atol=1e-6
    )


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "pairwise"])
@pytest.mark.parametrize("components", [5, None])
def test_a_rule_is_fitted_on_the_training_rows_alone(rows: np.ndarray, rule: str, components: int | None) -> None:
    """What is compared with a pair does not change it."""
    similarity = fit_similarity(rows[:40], rule, components, 5.0)
    np.testing.assert_allclose(similarity(rows[40:])[:5, :5], similarity(rows[40:45]), atol=1e-6)


def test_without_missing_values_the_rules_agree(rows: np.ndarray) -> None:
    whole = np.where(np.isnan(rows), 1.0, rows)
    expected = fit_similarity(whole[:40], "mean", 10, 5.0)(whole[40:])
    for rule in RULES:
        if rule != "pairwise":
            np.testing.assert_allclose(fit_similarity(whole[:40], rule, 10, 5.0)(whole[40:]), expected, atol=1e-5)


def test_the_median_stands_for_what_is_missing(rows: np.ndarray) -> None:
    rows[:30, 3] = 1000.0  # most of the column, so that its mean is another
    filled = np.where(np.isnan(rows), np.nanmedian(rows[:40], axis=0), rows)
    similarity = fit_similarity(rows[:40], "median", 10, 5.0)
    np.testing.assert_allclose(similarity(rows[40:]), similarity(filled[40:]), atol=1e-6)
    assert np.abs(similarity(rows[40:]) - fit_similarity(rows[:40], "mean", 10, 5.0)(rows[40:])).max() > 1e-3


def test_pairwise_uses_the_columns_that_both_have(rows: np.ndarray) -> None:
    train, test = rows[:40], rows[40:50]
    mean, deviation = np.nanmean(train, axis=0, dtype=float), np.nanstd(train, axis=0, dtype=float)
    scaled = np.clip((test - mean) / deviation, -5, 5)
    found = fit_similarity(train, "pairwise", None, 5.0)(test)
    for i in range(10):
        for j in range(10):
            both = ~np.isnan(test[i]) & ~np.isnan(test[j])
            a, b = scaled[i, both], scaled[j, both]
            assert found[i, j] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_centre_adds_nothing_for_what_is_missing(rows: np.ndarray) -> None:
    """Without a reduction the product of two rows is over the columns that both have, each from the centre."""
    rows[:2] = np.abs(rows[:2]) * 100  # cut on one side only, so that the centre after the cut is not 0
    train, test = rows[:40], rows[40:50]
    mean, deviation = np.nanmean(train, axis=0, dtype=float), np.nanstd(train, axis=0, dtype=float)
    fitted = np.clip(np.nan_to_num((train - mean) / deviation), -5, 5)
    centred = np.nan_to_num(np.clip((test - mean) / deviation, -5, 5) - fitted.mean(axis=0))
    directions = np.linalg.svd(fitted - fitted.mean(axis=0), full_matrices=False)[2][:39]  # all that 40 rows span
    np.testing.assert_allclose(
        fit_similarity(train, "centre", None, 5.0)(test), by_loop(centred @ directions.T), atol=1e-5
    )


def without_p(rows: np.ndarray) -> np.ndarray:
    """The same rows with neither P nor PR anywhere."""
    columns = [i for i, name in enumerate(NAMES) if name.startswith(("pr_", "p_duration_", "p_amplitude_"))]
    rows = rows.copy()
    rows[:, columns] = np.nan
    return rows


@pytest.mark.parametrize("rule", ["indicator", "absent"])
@pytest.mark.parametrize("leads", [1, 2])
def test_segments_without_p_waves_are_alike_where_that_is_said(rows: np.ndarray, rule: str, leads: int) -> None:
    rows = np.concatenate([rows, without_p(rows)])
    rows = np.concatenate([rows] * leads, axis=1)
    train, test = np.concatenate([rows[:40], rows[60:100]]), np.concatenate([rows[40:60], rows[100:]])

    def contrast(rule: str) -> float:
        """How much more alike segments without P are among themselves than with those that have it."""
        found = fit_similarity(train, rule, None, 5.0)(test)
        return float(found[20:, 20:][np.triu_indices(20, 1)].mean() - found[:20, 20:].mean())

    assert contrast(rule) > contrast("mean") + 0.1


def test_absent_hears_every_lead(rows: np.ndarray) -> None:
    """P is missing in the second of two leads alone."""
    both, one = np.concatenate([rows, rows], axis=1), np.concatenate([rows, without_p(rows)], axis=1)
    train, test = np.concatenate([both[:40], one[:40]]), np.concatenate([both[40:41], one[40:41]])
    said, unsaid = (fit_similarity(train, rule, None, 5.0)(test)[0, 1] for rule in ("absent", "mean"))
    assert said < unsaid - 0.05


def test_absent_does_not_count_beats(rows: np.ndarray) -> None:
    """A slow heart has fewer beats in 5 s and so more missing columns: `indicator` says so, `absent` does not."""
    slow = rows.copy()
    slow[:, [i for i, name in enumerate(NAMES) if name[-3:] in ("_07", "_08", "_09", "_10")]] = np.nan
    train = np.concatenate([rows[:40], slow[:40]])
    counted = fit_similarity(train, "indicator", None, 5.0)(np.concatenate([rows[40:41], slow[40:41]]))[0, 1]
    absent = fit_similarity(train, "absent", None, 5.0)(np.concatenate([rows[40:41], slow[40:41]]))[0, 1]
    assert absent > counted + 0.1


def test_what_cannot_be_is_refused(rows: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="pairwise"):
        fit_similarity(rows, "pairwise", 10, 5.0)
    with pytest.raises(ConfigError, match="zero"):
        fit_similarity(rows, "zero", 10, 5.0)


def test_the_mean_of_leads_is_of_those_that_know() -> None:
    first, second = np.array([[1.0, np.nan, np.nan]]), np.array([[3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(mean_known([first, second]), [[2.0, 5.0, np.nan]])
