import numpy as np
import torch

from physioclr.features.columns import STATISTIC_COLUMNS
from physioclr.features.reducer import Reducer
from physioclr.features.reducer_torch import project_on_device, standardise_on_device


def fitted() -> tuple[Reducer, np.ndarray]:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(300, 150)) * 10.0 ** rng.integers(-1, 3, 150) + 50).astype(np.float32)
    features[rng.random(features.shape) < 0.2] = np.nan
    features[:, 7], features[:, 9] = np.nan, 3.0
    return Reducer.fit(features, marked=STATISTIC_COLUMNS), features


def test_equals_the_reducer() -> None:
    reducer, features = fitted()
    tensors = {name: torch.from_numpy(array) for name, array in reducer.tensors().items()}
    standard = standardise_on_device(torch.from_numpy(features), tensors)
    reduced = project_on_device(standard, torch.ones(300, dtype=torch.bool), tensors)
    assert reduced.dtype == torch.float32
    np.testing.assert_allclose(reduced.numpy(), reducer.transform(features), rtol=1e-3, atol=1e-3)


def test_unusable_rows_are_zero() -> None:
    reducer, features = fitted()
    features[0] = np.nan
    usable = torch.ones(300, dtype=torch.bool)
    usable[:2] = False
    tensors = {name: torch.from_numpy(array) for name, array in reducer.tensors().items()}
    reduced = project_on_device(standardise_on_device(torch.from_numpy(features), tensors), usable, tensors)
    assert (reduced[:2] == 0).all()
    assert (reduced[2:].abs().sum(dim=1) > 0).all()
