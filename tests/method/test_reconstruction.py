from __future__ import annotations

import pytest
import torch

from physioclr.method.reconstruction import reconstruction_rows


def test_equals_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    decoded, signal = torch.randn(2, 3, 4, 20, generator=generator)
    mask = torch.rand(3, 20, generator=generator) > 0.6
    mask[1] = False

    whole, peak, has_mask = reconstruction_rows(decoded, signal, mask)

    assert has_mask.tolist() == [True, False, True]
    for s in range(3):
        every, within = [], []
        for lead in range(4):
            for t in range(20):
                error = float(decoded[s, lead, t] - signal[s, lead, t]) ** 2
                every.append(error)
                if mask[s, t]:
                    within.append(error)
        assert whole[s].item() == pytest.approx(sum(every) / len(every), rel=1e-5)
        assert peak[s].item() == pytest.approx(sum(within) / max(len(within), 1), rel=1e-5)


def test_numbers_worked_by_hand() -> None:
    """12 leads, an error of 2 on 3 of 10 samples: 4 within a mask of just these, 4 * 3 / 10 over all."""
    decoded = torch.zeros(1, 12, 10)
    decoded[..., 4:7] = 2
    mask = torch.zeros(1, 10, dtype=torch.bool)
    mask[:, 4:7] = True
    whole, peak, _ = reconstruction_rows(decoded, torch.zeros(1, 12, 10), mask)
    assert whole.item() == pytest.approx(1.2)
    assert peak.item() == pytest.approx(4.0)


def test_what_lies_outside_the_mask_gets_no_gradient_from_the_peak_term() -> None:
    decoded = torch.randn(2, 12, 10, requires_grad=True)
    mask = torch.zeros(2, 10, dtype=torch.bool)
    mask[0, 3:5] = True
    reconstruction_rows(decoded, torch.zeros(2, 12, 10), mask)[1].sum().backward()
    assert decoded.grad is not None
    assert decoded.grad[0].any(dim=0).tolist() == mask[0].tolist()
    assert not decoded.grad[1].any()
