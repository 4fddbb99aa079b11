from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from physioclr.evaluation.metrics import auroc
from physioclr.evaluation.probe import fit_probe


def _data(seed: int, rows: int, noise_columns: int = 10) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 2 + noise_columns)) * np.r_[100.0, 0.01, np.ones(noise_columns)] + 5.0
    y = np.stack([x[:, 0] > 60.0, x[:, 1] > 5.005], axis=1) ^ (generator.random((rows, 2)) < 0.05)
    return x, y


def test_it_reads_linear_classes_whatever_their_scale() -> None:
    probe = fit_probe(*_data(0, 300), *_data(1, 100))
    x, y = _data(2, 300)
    result = auroc(y, probe.scores(x), ["first", "second"])
    assert min(result.per_class.values()) > 0.9
    assert ((probe.scores(x) >= 0) & (probe.scores(x) <= 1)).all()
    assert probe.converged


def test_it_equals_a_plain_logistic_regression_at_the_chosen_c() -> None:
    (x_train, y_train), (x_val, y_val) = _data(0, 200), _data(1, 100)
    probe = fit_probe(x_train, y_train, x_val, y_val, grid=(0.01, 0.1))
    scaler = StandardScaler().fit(x_train)
    for column in range(2):
        plain = LogisticRegression(C=probe.c, max_iter=1000).fit(scaler.transform(x_train), y_train[:, column])
        expected = plain.predict_proba(scaler.transform(x_val))[:, 1]
        np.testing.assert_allclose(probe.scores(x_val)[:, column], expected, atol=2e-3)


def test_c_is_the_one_with_the_best_validation_auroc() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 200))
    y = (x[:, :1] + generator.normal(size=(400, 1))) > 0
    train, val = (x[:100], y[:100]), (x[100:], y[100:])
    alone = {c: fit_probe(*train, *val, grid=(c,)).validation_auroc for c in (1e-4, 1e-2, 10.0)}
    chosen = fit_probe(*train, *val, grid=(10.0, 1e-4, 1e-2))
    assert alone[chosen.c] == max(alone.values())
    assert chosen.validation_auroc == pytest.approx(max(alone.values()), abs=1e-3)
    assert len({round(value, 3) for value in alone.values()}) > 1


def test_missing_features_take_the_training_mean() -> None:
    (x_train, y_train), (x_val, y_val) = _data(0, 200), _data(1, 100)
    x_train[::7, 3] = np.nan
    x_train[:, 4] = np.nan  # a column that nobody has
    probe = fit_probe(x_train, y_train, x_val, y_val)
    missing, filled = x_val.copy(), x_val.copy()
    missing[:, 3] = np.nan
    filled[:, 3] = np.nanmean(x_train[:, 3])
    np.testing.assert_allclose(probe.scores(missing), probe.scores(filled))


def test_a_class_with_one_outcome_in_training_gets_a_constant_score() -> None:
    (x_train, y_train), (x_val, y_val) = _data(0, 100), _data(1, 100)
    y_train = np.column_stack([y_train, np.zeros(100, bool), np.ones(100, bool)])
    y_val = np.column_stack([y_val, y_val])
    probe = fit_probe(x_train, y_train, x_val, y_val)
    assert probe.constant == (2, 3)
    scores = probe.scores(x_val)
    assert (scores[:, 2] == 0.0).all()
    assert (scores[:, 3] == 1.0).all()
    assert auroc(y_val, scores, list("abcd")).per_class["c"] == 0.5


def test_without_outcomes_in_validation_the_middle_of_the_grid_is_taken() -> None:
    x, y = _data(0, 100)
    probe = fit_probe(x, y, x[:3], np.zeros((3, 2)), grid=(0.1, 1.0, 10.0))
    assert probe.c == 1.0
    assert math.isnan(probe.validation_auroc)


def test_it_is_deterministic() -> None:
    first, second = (fit_probe(*_data(0, 150), *_data(1, 80)) for _ in range(2))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)


def test_tables_that_do_not_fit_are_refused() -> None:
    x, y = _data(0, 50)
    with pytest.raises(ValueError, match="training"):
        fit_probe(x[:10], y, x, y)
    with pytest.raises(ValueError, match="same encoder"):
        fit_probe(x, y, x[:, :3], y)
