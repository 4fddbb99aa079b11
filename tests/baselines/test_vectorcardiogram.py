from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from physioclr.baselines import vectorcardiogram as vcg
from physioclr.baselines.draws import SegmentDraws
from physioclr.ecg.leads import LEADS


def draws(segments: int, seed: int = 0) -> SegmentDraws:
    return SegmentDraws(segments, torch.Generator().manual_seed(seed))


def dipole(segments: int = 3) -> Tensor:
    """Leads of a heart that is one vector, as z-scores at the usual amplitudes."""
    vector = torch.randn(segments, 3, 2500, generator=torch.Generator().manual_seed(0))
    return vcg.to_leads() @ vector


def test_the_two_published_matrices_undo_each_other() -> None:
    dower, inverse = torch.tensor(vcg.DOWER), torch.tensor(vcg.INVERSE_DOWER)
    torch.testing.assert_close(inverse @ dower, torch.eye(3), atol=2e-3, rtol=0)
    torch.testing.assert_close(torch.linalg.pinv(dower), inverse, atol=6e-4, rtol=0)
    torch.testing.assert_close(vcg.to_vector() @ vcg.to_leads(), torch.eye(3), atol=2e-3, rtol=0)


def test_limb_leads_follow_from_i_and_ii() -> None:
    """Einthoven and Goldberger, in millivolts, from the potentials of the three electrodes."""
    leads = dict(zip(LEADS, vcg.to_leads() * torch.tensor(vcg.TYPICAL_MV)[:, None], strict=True))
    right, left, foot = torch.zeros(3), leads["I"], leads["II"]  # of the right arm, by choice of zero
    torch.testing.assert_close(leads["III"], foot - left)
    torch.testing.assert_close(leads["aVR"], right - (left + foot) / 2)
    torch.testing.assert_close(leads["aVL"], left - (right + foot) / 2)
    torch.testing.assert_close(leads["aVF"], foot - (right + left) / 2)


def test_the_axes_point_where_frank_has_them() -> None:
    """X to the left (I, V6), Y to the feet (II, aVF), Z to the back (away from V1 .. V3)."""
    leads = dict(zip(LEADS, vcg.to_leads().tolist(), strict=True))
    assert min(leads["I"][0], leads["V6"][0], leads["II"][1], leads["aVF"][1]) > 0
    assert max(leads["V1"][2], leads["V2"][2], leads["V3"][2], leads["aVR"][0]) < 0


def slow_rotation(angles: list[float]) -> Tensor:
    """About X, then Y, then Z, each written out."""
    (a, b, c), cos, sin = angles, math.cos, math.sin
    about_x = torch.tensor([[1, 0, 0], [0, cos(a), -sin(a)], [0, sin(a), cos(a)]])
    about_y = torch.tensor([[cos(b), 0, sin(b)], [0, 1, 0], [-sin(b), 0, cos(b)]])
    about_z = torch.tensor([[cos(c), -sin(c), 0], [sin(c), cos(c), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def test_rotation() -> None:
    angles = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)) * 6 - 3
    found = vcg.rotation(angles)
    torch.testing.assert_close(found, torch.stack([slow_rotation(row) for row in angles.tolist()]))
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(5))
    torch.testing.assert_close(found @ found.transpose(1, 2), torch.eye(3).expand(5, 3, 3), atol=1e-5, rtol=0)


@pytest.mark.parametrize("keep", [True, False])
def test_a_dipole_is_turned_and_stretched(keep: bool) -> None:
    angle, scale = 45.0, 1.5
    drawn = draws(3).uniform(2, 3)
    expected = []
    for row, leads in zip(drawn, dipole(), strict=True):
        turn = slow_rotation([math.radians(angle) * (2 * float(u) - 1) for u in row[0]])
        stretch = torch.diag(1 + (scale - 1) * row[1])
        expected.append(vcg.to_leads() @ stretch @ turn @ vcg.to_vector() @ leads)
    found = vcg.turn_and_stretch(dipole(), angle, scale, draws(3), keep_residual=keep)
    torch.testing.assert_close(found, torch.stack(expected), atol=0.05, rtol=0.01)
    assert (found - dipole()).abs().max() > 0.5


def test_nothing_changes_without_angle_and_scale() -> None:
    signal = torch.randn(2, 12, 2500, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(vcg.turn_and_stretch(signal, 0, 1, draws(2), keep_residual=True), signal)
    without = vcg.turn_and_stretch(signal, 0, 1, draws(2), keep_residual=False)
    again = vcg.turn_and_stretch(without, 0, 1, draws(2), keep_residual=False)
    assert (without - signal).std() > 0.5, "what is no dipole is gone"
    torch.testing.assert_close(again, without, atol=0.05, rtol=0.01)


def test_the_residual_is_neither_turned_nor_stretched() -> None:
    noise = torch.randn(2, 12, 2500, generator=torch.Generator().manual_seed(4))
    residual = noise - vcg.to_leads() @ (vcg.to_vector() @ noise)
    found = vcg.turn_and_stretch(residual, 45, 1.5, draws(2), keep_residual=True)
    torch.testing.assert_close(found, residual, atol=0.02, rtol=0.01)


def test_the_same_draws_give_the_same_view() -> None:
    one = vcg.turn_and_stretch(dipole(), 45, 1.5, draws(3), keep_residual=True)
    assert torch.equal(one, vcg.turn_and_stretch(dipole(), 45, 1.5, draws(3), keep_residual=True))
    assert not torch.equal(one, vcg.turn_and_stretch(dipole(), 45, 1.5, draws(3, seed=1), keep_residual=True))
