from types import SimpleNamespace

import numpy as np
import pytest

from physioclr.ecg.leads import LEADS
from physioclr.features.batched.windows import average
from physioclr.features.lead import averages, choose_lead, first_component, without_mains

GAINS = np.array([0.7, 1.0, 0.3, -0.85, 0.2, 0.65, -0.4, -0.3, 0.5, 0.9, 1.0, 0.8])


def segments(n: int = 5) -> np.ndarray:
    """Hearts of different rates and axes, with noise: [n, 12, 2500]."""
    rng = np.random.default_rng(0)
    t = np.arange(2500) / 500
    made = rng.normal(scale=0.02, size=(n, 12, 2500))
    for i in range(n):
        for r in np.arange(0.3, 5, 0.5 + 0.1 * i):
            made[i] += np.exp(-0.5 * ((t - r) / 0.012) ** 2) * np.roll(GAINS, i)[:, None]
            made[i] += 0.25 * np.exp(-0.5 * ((t - r - 0.2) / 0.04) ** 2) * GAINS[:, None]
    return made


def around(values: np.ndarray, samples: int) -> np.ndarray:
    """Moving average whose ends are continued by their own value."""
    padded = np.pad(values, samples // 2, mode="edge")
    return np.array([padded[t : t + samples].mean() for t in range(len(values))])


def band(lead: np.ndarray) -> np.ndarray:
    """Means over 4 samples, without mains, and without what is faster than 24 ms or slower than half a second."""
    means = np.array([lead[t : t + 4].mean() for t in range(0, len(lead) - 3, 4)])
    inner = [(means[t - 1] + 2 * means[t] + means[t + 1]) / 4 for t in range(1, len(means) - 1)]
    means = np.array([means[0], *inner, means[-1]])
    return around(means, 3) - around(means, 63)


def reference(leads: np.ndarray) -> np.ndarray:
    """The leads that vary, mixed as the first left singular vector of their standardised bands says."""
    kept = [lead for lead in leads if np.isfinite(lead).all() and lead.min() < lead.max()]
    if not kept:
        return np.zeros(leads.shape[1])
    bands = np.array([band(lead) for lead in kept])
    extents = np.sqrt((bands**2).mean(axis=1))
    directions, _, _ = np.linalg.svd(bands / extents[:, None], full_matrices=False)
    gains = directions[:, 0] / extents
    component = sum(gain * (lead - lead.mean()) for gain, lead in zip(gains, kept, strict=True))
    return component if ((gains @ bands) ** 3).sum() > 0 else -component


def broken(batch: np.ndarray) -> np.ndarray:
    """With leads and segments in it that are flat, missing, infinite or the only one."""
    batch = batch.copy()
    batch[0, 4], batch[0, 7, 100], batch[0, 9, 0] = 0.1, np.nan, np.nan
    batch[1, 2, 5] = np.inf
    batch[2] = 0.1
    batch[3, 1:] = 7.0
    return batch


@pytest.mark.parametrize("change", [lambda batch: batch, broken])
def test_equals_the_decomposition_of_each_segment(change) -> None:  # type: ignore[no-untyped-def]
    batch = change(segments())
    found = first_component(batch)
    for one, leads in zip(found, batch, strict=True):
        np.testing.assert_allclose(one, reference(leads), atol=1e-4)  # the directions are of single precision


def test_a_segment_does_not_depend_on_the_others_to_the_last_bit() -> None:
    batch = broken(segments())
    together = first_component(batch)
    for i in range(len(batch)):
        np.testing.assert_array_equal(first_component(batch[i : i + 1])[0], together[i])
        np.testing.assert_array_equal(first_component(np.roll(batch, i, axis=0))[i], together[0])


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_qrs_points_upwards_whatever_the_signs_and_scales_of_leads(turn: float) -> None:
    batch = segments()
    component = choose_lead(turn * batch * np.linspace(0.1, 9, 12)[:, None], "pca")
    assert (component.max(axis=1) > 2 * -component.min(axis=1)).all()
    np.testing.assert_allclose(component, first_component(batch), atol=1e-5)


def test_nothing_to_see_is_zero_and_no_segments_are_none() -> None:
    assert not first_component(broken(segments())[2:3]).any()
    assert first_component(np.zeros((0, 12, 2500))).shape == (0, 2500)


def test_a_lead_by_name_is_that_lead() -> None:
    batch = segments()
    np.testing.assert_array_equal(choose_lead(batch, "V5"), batch[:, LEADS.index("V5")])


def test_the_segments_given_are_left_as_they_are() -> None:
    batch = broken(segments())
    before = batch.copy()
    choose_lead(batch, "pca")
    np.testing.assert_array_equal(batch, before)


@pytest.mark.parametrize("size", [0, 3, 4, 2500, 2503])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_averages_are_of_four_samples_less_the_first_of_them(size: int, kind: type) -> None:
    batch = (10.0 + np.random.default_rng(0).normal(size=(2, 3, size))).astype(kind)
    found = averages(batch)
    assert found.dtype == np.float32
    assert found.shape == (2, 3, size // 4)
    for t in range(size // 4):
        expected = batch[..., 4 * t : 4 * t + 4].mean(axis=-1) - batch[..., :4].mean(axis=-1)
        np.testing.assert_allclose(found[..., t], expected, atol=1e-5)


def test_averages_given_change_nothing() -> None:
    batch = segments()
    lines = without_mains(averages(batch))
    known = SimpleNamespace(lines=lines, smooth=average(lines, 3))
    np.testing.assert_array_equal(choose_lead(batch, "pca", known), choose_lead(batch, "pca"))


def test_leads_without_a_signal_are_nothing() -> None:
    batch = segments()[:1]
    batch[0, 0], batch[0, 1, 5], batch[0, 2, 5], batch[0, 3, 2499] = 0.1, np.nan, np.inf, -np.inf
    batch[0, 4] *= 1e-15
    batch[0, 5] *= 1e20
    found = averages(batch)
    assert not found[0, :6].any()
    assert found[0, 6:].any(axis=1).all()
    assert np.isfinite(choose_lead(batch, "pca")).all()


def test_what_is_faster_than_the_heart_has_no_vote() -> None:
    """Hiss in a lead takes nothing from its weight, but through what is left of it in the means of 4 samples."""
    batch = segments()
    hiss = 0.3 * np.tile([1.0, -1.0], 1250)
    batch[:, 7] += hiss
    without = first_component(segments())
    with_hiss = first_component(batch)
    np.testing.assert_allclose(averages(batch), averages(segments()), atol=1e-6)
    left = with_hiss - without
    np.testing.assert_allclose(left, left[:, :1] * np.sign(hiss), atol=1e-4)
