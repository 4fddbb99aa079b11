"""Ablations of what features say of pairs: seeded, without a trace of what was dropped, and off by default."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from physioclr.config import AblationConfig, PrepareConfig, PretrainConfig
from physioclr.features.delineation import USABLE
from physioclr.features.reducer import Reducer
from physioclr.method.batch import SegmentBatch
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.pairing import Pairing, dropped_columns, pairing_of, random_features
from physioclr.pipeline.training.batches import reducer_tensors, to_segments
from physioclr.pipeline.training.packing import COLUMNS_READ, Grain, features_of, grain_of

CPU = torch.device("cpu")


def ablated(dataset: PreparedDataset, seed: int = 0, **keys: float) -> Pairing:
    ablation = AblationConfig.model_validate(keys) if keys else None
    config = PretrainConfig(dataset=PrepareConfig(uri=dataset.uri, sources=()), ablation=ablation)
    training = config.training.model_copy(update={"seed": seed})
    return pairing_of(config.model_copy(update={"training": training}), dataset)


def grain(dataset: PreparedDataset, rows: slice = slice(0, 8)) -> Grain:
    table = dataset.head("train", 8, COLUMNS_READ).slice(rows.start, rows.stop - rows.start)
    return grain_of(table, np.arange(rows.start, rows.stop), np.arange(rows.start, rows.stop))


def segments(dataset: PreparedDataset, pairing: Pairing, rows: slice = slice(0, 8)) -> SegmentBatch:
    return to_segments(grain(dataset, rows), reducer_tensors(pairing.tensors(), CPU), CPU)


def test_a_larger_share_drops_what_a_smaller_one_does() -> None:
    small, large = (set(dropped_columns(share, 3)) for share in (0.1, 0.5))
    assert (len(small), len(large)) == (15, 75)
    assert small < large
    assert dropped_columns(0.1, 3) == dropped_columns(0.1, 3) != dropped_columns(0.1, 4)
    assert dropped_columns(0.0, 3) == ()


def test_without_an_ablation_the_reducer_is_the_datasets(demo_dataset: PreparedDataset) -> None:
    pairing = ablated(demo_dataset)
    assert pairing.tensors().keys() == demo_dataset.reducer.tensors().keys()
    nothing = segments(demo_dataset, ablated(demo_dataset, drop=0.0))
    np.testing.assert_array_equal(segments(demo_dataset, pairing).features_SK, nothing.features_SK)


def test_the_reducer_is_fitted_as_if_the_dropped_columns_had_never_been_measured(demo_dataset: PreparedDataset) -> None:
    pairing = ablated(demo_dataset, drop=0.3)
    table = demo_dataset.head("train", 10_000, COLUMNS_READ)
    features = features_of(table).reshape(-1, 150).astype(np.float64)
    features[:, list(pairing.dropped)] = np.nan
    usable = np.array([status in USABLE for row in table["feature_status"].to_pylist() for status in row])
    made = demo_dataset.manifest.config["features"]
    marked = demo_dataset.reducer.marked
    expected = Reducer.fit(features[usable], made["components"], made["clip"], marked)
    np.testing.assert_allclose(pairing.reducer.explained, expected.explained)
    np.testing.assert_allclose(np.abs(pairing.reducer.components), np.abs(expected.components), atol=1e-6)
    seen = segments(demo_dataset, pairing)
    wanted = np.where(usable[:16, None], expected.transform(features[:16]), 0.0)
    np.testing.assert_allclose(seen.features_SK, wanted, atol=2e-3)
    assert seen.measures_SF is not None
    assert (seen.measures_SF[:, list(pairing.dropped)] == 0).all(), "nor for a learned similarity"


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_what_was_dropped_changes_nothing(demo_dataset: PreparedDataset, share: float) -> None:
    pairing = ablated(demo_dataset, drop=share)
    given = grain(demo_dataset)
    features = given.features.copy()
    features[..., list(pairing.dropped)] = 1e6
    changed = Grain(**{**vars(given), "features": features})
    tensors = reducer_tensors(pairing.tensors(), CPU)
    before, after = (to_segments(each, tensors, CPU) for each in (given, changed))
    np.testing.assert_array_equal(before.features_SK, after.features_SK)
    np.testing.assert_array_equal(before.measures_SF, after.measures_SF)


def test_random_features_are_a_recordings_own(demo_dataset: PreparedDataset) -> None:
    pairing = ablated(demo_dataset, random=True)
    whole, part = segments(demo_dataset, pairing), segments(demo_dataset, pairing, slice(5, 8))
    np.testing.assert_array_equal(whole.features_SK[10:], part.features_SK)
    np.testing.assert_array_equal(whole.features_SK[0::2], whole.features_SK[1::2])
    real, other = segments(demo_dataset, ablated(demo_dataset)), ablated(demo_dataset, seed=1, random=True)
    np.testing.assert_array_equal(real.signal_SLT, whole.signal_SLT)
    np.testing.assert_array_equal(real.has_features_S, whole.has_features_S)
    assert (segments(demo_dataset, other).features_SK != whole.features_SK).any()
    assert whole.measures_SF is not None
    assert whole.measures_SF.shape == (16, 150)


def test_random_features_have_the_spread_of_the_components() -> None:
    spread = torch.tensor([3.0, 1.0, 0.1])
    numbers = np.arange(4000)
    drawn = random_features(numbers, numbers // 2, 0, spread)[0::2]
    np.testing.assert_allclose(drawn.std(dim=0), spread, rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(drawn.T.numpy()), np.eye(3), atol=0.06)


@pytest.mark.parametrize("keys", [{}, {"drop": 0.3}, {"random": True}])
def test_reduced_precision_moves_no_pair(demo_dataset: PreparedDataset, keys: dict[str, float]) -> None:
    """Under autocast as in a step on a GPU: delta is compared with cosines of features in full precision."""
    pairing = ablated(demo_dataset, **keys)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = segments(demo_dataset, pairing)
    exact = segments(demo_dataset, pairing)
    assert torch.equal(rounded.features_SK, exact.features_SK)
    assert rounded.measures_SF is not None
    assert torch.equal(rounded.measures_SF, exact.measures_SF)
