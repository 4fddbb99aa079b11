import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from physioclr.errors import DatasetError
from physioclr.features.reducer import Covariance, Moments, Reducer, Scaler


def rows(n: int = 400, columns: int = 12, missing: float = 0.1, seed: int = 0) -> np.ndarray:
    """Correlated columns of very different units, some numbers missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, columns)) @ rng.normal(size=(columns, columns))
    values = values * 10.0 ** rng.integers(-2, 4, columns) + rng.normal(size=columns) * 100
    values[rng.random(values.shape) < missing] = np.nan
    return values.astype(np.float32)


def test_equals_scikit_learn_up_to_sign() -> None:
    train, new = rows(), rows(seed=1)
    scaler = StandardScaler().fit(train.astype(np.float64))

    def prepared(x: np.ndarray) -> np.ndarray:
        return np.clip(np.nan_to_num(scaler.transform(x.astype(np.float64)), nan=0.0), -2, 2)

    pca = PCA(5, svd_solver="full").fit(prepared(train))
    reducer = Reducer.fit(train, components=5, clip=2.0)
    signs = np.sign((pca.components_ * reducer.components).sum(axis=1))
    np.testing.assert_allclose(reducer.transform(new), pca.transform(prepared(new)) * signs, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(reducer.explained, pca.explained_variance_ratio_, rtol=1e-9)


def in_parts(features: np.ndarray, cuts: list[int], components: int, clip: float) -> Reducer:
    """The two passes as the pipeline makes them: part by part, then merged in order."""
    parts = np.split(features, sorted(cuts))
    moments = Moments.from_features(parts[0])
    for part in parts[1:]:
        moments = moments.merge(Moments.from_features(part))
    scaler = Scaler.from_moments(moments, clip)
    covariance = Covariance.from_rows(scaler(parts[0]))
    for part in parts[1:]:
        covariance = covariance.merge(Covariance.from_rows(scaler(part)))
    return Reducer.from_covariance(scaler, covariance, components)


@given(st.lists(st.integers(0, 300), max_size=6), st.integers(0, 10))
@settings(max_examples=30, deadline=None)
def test_parts_give_what_the_whole_gives(cuts: list[int], seed: int) -> None:
    features = rows(300, seed=seed)
    whole, parts = Reducer.fit(features, 4, 3.0), in_parts(features, cuts, 4, 3.0)
    np.testing.assert_allclose(parts.transform(features), whole.transform(features), rtol=1e-4, atol=1e-4)
    assert parts.fitted_on == whole.fitted_on == 300
    again = in_parts(features, cuts, 4, 3.0)
    assert again.to_json() == parts.to_json()


def test_missing_is_the_training_mean_and_not_part_of_the_fit() -> None:
    features = rows(missing=0.0)
    holed = features.copy()
    holed[:200, 3] = np.nan
    reducer = Reducer.fit(holed)
    assert reducer.mean[3] == pytest.approx(features[200:, 3].astype(np.float64).mean())
    mean_row = np.repeat(reducer.mean[None], 2, axis=0)
    missing_row = mean_row.copy()
    missing_row[:, 3] = np.nan
    np.testing.assert_array_equal(reducer.transform(missing_row), reducer.transform(mean_row))


def test_columns_without_spread_have_no_say() -> None:
    features = rows(missing=0.0)
    features[:, 2] = np.nan
    features[:, 5] = 1234.567
    reducer = Reducer.fit(features, components=50)
    assert reducer.unused == (2, 5)
    assert reducer.scale[2] == reducer.scale[5] == 1.0
    changed = features.copy()
    changed[:, 2], changed[:, 5] = 1e6, -1e6
    np.testing.assert_array_equal(reducer.transform(changed), reducer.transform(features))
    assert not reducer.scaler(changed)[:, [2, 5]].any()
    assert not reducer.components[:, [2, 5]].any()


def test_constant_column_stays_unused_when_merged_from_uneven_parts() -> None:
    features = rows(missing=0.0)
    features[:, 5] = 0.1
    assert in_parts(features, [1, 7, 133, 399], 4, 3.0).unused == (5,)


def test_no_more_components_than_the_rows_span() -> None:
    assert Reducer.fit(rows(4, missing=0.0), components=50).components.shape == (3, 12)


def test_each_component_points_to_its_largest_loading() -> None:
    components = Reducer.fit(rows()).components
    assert (components[np.arange(len(components)), np.abs(components).argmax(axis=1)] > 0).all()


def test_one_wild_value_is_cut() -> None:
    features = rows(missing=0.0)
    reducer = Reducer.fit(features, components=12, clip=5.0)
    wild = np.repeat(reducer.mean[None], 2, axis=0)
    wild[0, 0] += 6 * reducer.scale[0]
    wild[1, 0] += 1e9 * reducer.scale[0]
    np.testing.assert_array_equal(*reducer.transform(wild))


def test_json_round_trip_is_exact() -> None:
    features = rows()
    features[:, 4] = np.nan
    reducer = Reducer.fit(features, components=6)
    again = Reducer.from_json(reducer.to_json())
    assert again.to_json() == reducer.to_json()
    np.testing.assert_array_equal(again.transform(features), reducer.transform(features))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1}'])
def test_text_that_is_no_reducer_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="prepare the dataset anew"):
        Reducer.from_json(text)


def test_nothing_to_fit_on_is_said() -> None:
    with pytest.raises(DatasetError, match="no usable segment"):
        Reducer.fit(np.empty((0, 150)))
    with pytest.raises(DatasetError, match="same features"):
        Reducer.fit(np.ones((5, 150)))


def test_absence_of_a_marked_column_is_told_and_of_another_one_is_not() -> None:
    features = rows(400, missing=0.0)
    features[:80, 2] = features[40:120, 5] = np.nan
    reducer = Reducer.fit(features, components=50, marked=(2,))
    assert reducer.components.shape[1] == features.shape[1] + 1
    present = np.where(np.isnan(features[:1]), reducer.mean[: features.shape[1]], features[:1])
    without = np.repeat(present, 2, axis=0)
    without[0, 2] = np.nan
    filled = without.copy()
    filled[:, 2] = reducer.mean[2]
    moved = reducer.transform(without) - reducer.transform(filled)
    assert np.abs(moved[0]).max() > 0.5, "the mean stands where it is missing, and the mark says so"
    plain = Reducer.fit(features, components=50)
    gap = present.copy()
    gap[0, 5] = np.nan
    full = present.copy()
    full[0, 5] = plain.mean[5]
    np.testing.assert_allclose(plain.transform(gap), plain.transform(full), atol=1e-5)
    assert Reducer.from_json(reducer.to_json()).marked == (2,)
