from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.method.views import crops, decode, halves


def test_z_score_is_per_lead_over_the_whole_record() -> None:
    generator = np.random.default_rng(0)
    signal = generator.integers(-3000, 3000, (2, 12, 5000)).astype(np.int16)
    signal[0, 3] = signal[0, 3] // 50 + 20_000  # another scale and offset than its neighbours
    signal[:, :, :2500] += 500  # the halves differ, so a z-score over halves would show

    decoded = decode(torch.from_numpy(signal)).numpy()

    for record in range(2):
        for lead in range(12):
            values = signal[record, lead].astype(np.float64)
            np.testing.assert_allclose(decoded[record, lead], (values - values.mean()) / values.std(), atol=1e-4)
    assert abs(decoded[0, 0, :2500].mean()) > 0.1


@given(st.integers(-32768, 32767))
@settings(deadline=None, max_examples=25)
def test_a_constant_lead_becomes_zeros(level: int) -> None:
    decoded = decode(torch.full((1, 2, 5000), level, dtype=torch.int16))
    assert torch.equal(decoded, torch.zeros(1, 2, 5000))


@pytest.mark.parametrize("level", [-32768, 0, 32766])
def test_the_flattest_lead_that_is_not_constant_is_scaled_to_one(level: int) -> None:
    signal = torch.full((1, 1, 5000), level, dtype=torch.int16)
    signal[0, 0, 17] += 1
    decoded = decode(signal)
    assert torch.isfinite(decoded).all()
    assert decoded.std(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_halves_of_a_record_lie_side_by_side() -> None:
    signal = torch.arange(3 * 12 * 10).reshape(3, 12, 10)
    parts = halves(signal)
    assert parts.shape == (6, 12, 5)
    for record in range(3):
        assert torch.equal(parts[2 * record], signal[record, :, :5])
        assert torch.equal(parts[2 * record + 1], signal[record, :, 5:])


def test_an_odd_number_of_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="4999"):
        halves(torch.zeros(1, 12, 4999))


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 20), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_crops_begin_where_they_are_told_to(records: int, leads: int, half: int, dice: random.Random) -> None:
    signal = torch.arange(records * leads * 2 * half).reshape(records, leads, 2 * half)
    start = [dice.randint(0, half) for _ in range(2 * records)]
    found = crops(signal, torch.tensor(start))
    assert found.shape == (2 * records, leads, half)
    for segment, first in enumerate(start):
        assert torch.equal(found[segment], signal[segment // 2, :, first : first + half])
    assert torch.equal(crops(signal, torch.tensor([0, half] * records)), halves(signal))
