"""Noise on stored recordings: the same for whoever adds it, and of the ratio that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from physioclr.config import NoiseConfig
from physioclr.evaluation.noise import add_noise, power
from physioclr.pipeline.compare.noisy import Key, at_ratio, keys_of, noise_of, with_noise

KEYS: list[Key] = [("demo", "a", 0), ("demo", "a", 1), ("other", "a", 0)]


def signals() -> np.ndarray:
    """Three recordings of 12 sines of different heights, in thousandths."""
    time = np.arange(5000) / 500
    heights = np.linspace(200, 2000, 36).reshape(3, 12, 1)
    return np.rint(heights * np.sin(2 * np.pi * 5 * time)).astype(np.int16)


@pytest.mark.parametrize("kind", ["wander", "muscle", "mains", "mix"])
def test_a_recording_has_its_own_noise_whatever_is_beside_it(kind: str) -> None:
    noise = NoiseConfig(kind=kind, db=6.0)  # type: ignore[arg-type]
    together = with_noise(signals(), KEYS, noise)
    for place, key in enumerate(KEYS):
        alone = with_noise(signals()[place : place + 1], [key], noise)
        np.testing.assert_array_equal(alone[0], together[place])
    again = with_noise(signals()[:1], [KEYS[0]], noise.model_copy(update={"seed": 1}))
    assert (again[0] != together[0]).any()
    same = with_noise(np.repeat(signals()[:1], 3, axis=0), KEYS, noise)
    assert (same[0] != same[1]).any()
    assert (same[0] != same[2]).any()


@pytest.mark.parametrize("db", [24.0, 6.0, 0.0])
def test_the_ratio_is_that_of_each_lead(db: float) -> None:
    clean = signals()
    added = with_noise(clean, KEYS, NoiseConfig(db=db)).astype(float) - clean
    ratio = 10 * np.log10(power(clean.astype(float)) / (added**2).mean(axis=-1))
    np.testing.assert_allclose(ratio, db, atol=0.1)


def test_another_ratio_is_the_same_noise_of_another_size() -> None:
    noise = noise_of(KEYS, "mix", 0, (12, 5000))
    clean = signals()
    loud, faint = (at_ratio(clean, noise, db).astype(float) - clean for db in (0.0, 20.0))
    np.testing.assert_allclose(faint, loud / 10, atol=1.1)  # of thousandths, by rounding


def test_what_int16_cannot_hold_is_cut() -> None:
    large = (signals().astype(float) * 16).clip(-32768, 32767).astype(np.int16)
    noisy = at_ratio(large, noise_of(KEYS, "mix", 0, (12, 5000)), 0.0)
    whole = 1000 * add_noise(large / 1000, noise_of(KEYS, "mix", 0, (12, 5000)), 0.0)
    assert whole.max() > 40_000
    np.testing.assert_array_equal(noisy, np.rint(whole).clip(-32768, 32767))


def test_keys_are_taken_from_rows() -> None:
    assert keys_of([{"record_id": "a", "window": 1, "dataset": "demo", "more": 0}]) == [("demo", "a", 1)]
