"""The heart as one vector: twelve leads to three, turned and stretched, and back (3KG, Gopal et al. 2021).

The 8 independent leads become Frank's X, Y and Z by the inverse Dower matrix, these become the 8 leads by Dower's, and
the other four limb leads follow from I and II. Both matrices are in millivolts, but segments are z-scored by lead. [D]
So each lead is first brought to its usual amplitude, `TYPICAL_MV`: the deviation after a band-pass of 0.5 to 40 Hz,
median over 519 recordings of PTB-XL. In these, the vector found so correlates with the one found from the recording's
own amplitudes by 0.998, 0.993 and 0.997 (X, Y, Z; medians).

Shapes: S segments, L 12 leads, E 8 independent leads, T samples, 3 axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physioclr.baselines.draws import SegmentDraws
from physioclr.ecg.leads import LEADS

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
# Dower, Machado and Osborne 1980: X, Y, Z to each lead, in the order of INDEPENDENT.
DOWER = (
    (0.632, -0.235, 0.059),
    (0.235, 1.066, -0.132),
    (-0.515, 0.157, -0.917),
    (0.044, 0.164, -1.387),
    (0.882, 0.098, -1.277),
    (1.213, 0.127, -0.601),
    (1.125, 0.127, -0.086),
    (0.831, 0.076, 0.230),
)
# Edenbrandt and Pahlm 1988: the leads to X, Y, Z. It is the pseudo-inverse of Dower's.
INVERSE_DOWER = (
    (0.156, -0.010, -0.172, -0.074, 0.122, 0.231, 0.239, 0.194),
    (-0.227, 0.887, 0.057, -0.019, -0.106, -0.022, 0.041, 0.048),
    (0.022, 0.102, -0.229, -0.310, -0.246, -0.063, 0.055, 0.108),
)
# The limb leads out of I and II (Einthoven, Goldberger).
LIMB = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
TYPICAL_MV = (0.116, 0.129, 0.092, 0.117, 0.081, 0.095, 0.147, 0.259, 0.230, 0.217, 0.199, 0.165)  # in order of LEADS


def to_vector() -> Tensor:
    """z-scored leads to X, Y, Z in about millivolts: float32 [3, 12]; the four dependent leads are not read."""
    matrix_3L = torch.zeros(3, len(LEADS))
    for place, lead in enumerate(INDEPENDENT):
        column = LEADS.index(lead)
        matrix_3L[:, column] = torch.tensor([row[place] for row in INVERSE_DOWER]) * TYPICAL_MV[column]
    return matrix_3L


def to_leads() -> Tensor:
    """X, Y, Z in millivolts to z-scored leads: float32 [12, 3]."""
    of_lead = {lead: torch.tensor(row) for lead, row in zip(INDEPENDENT, DOWER, strict=True)}
    for lead, (of_i, of_ii) in LIMB.items():
        of_lead[lead] = of_i * of_lead["I"] + of_ii * of_lead["II"]
    return torch.stack([of_lead[lead] / usual for lead, usual in zip(LEADS, TYPICAL_MV, strict=True)])


def rotation(angle_S3: Tensor) -> Tensor:
    """Turned about X by the first angle (radians), then about Y, then about Z: float32 [S, 3, 3]."""
    result_S33 = torch.eye(3, device=angle_S3.device)
    for axis in range(3):
        sine_S, cosine_S = angle_S3[:, axis].sin(), angle_S3[:, axis].cos()
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn_S33 = torch.eye(3, device=angle_S3.device).repeat(len(angle_S3), 1, 1)
        turn_S33[:, first, first] = turn_S33[:, second, second] = cosine_S
        turn_S33[:, first, second], turn_S33[:, second, first] = -sine_S, sine_S
        result_S33 = turn_S33 @ result_S33
    return result_S33


def turn_and_stretch(
    signal_SLT: Tensor, angle: float, scale: float, draws: SegmentDraws, keep_residual: bool
) -> Tensor:
    """The leads [S, 12, T] of a heart turned by up to `angle` degrees about each axis and stretched by 1 to `scale`.

    With `keep_residual` what the vector does not explain of the leads stays, and angle 0 with scale 1 changes nothing;
    without it the leads are what the vector gives, as published.
    """
    angle_S3, stretch_S3 = draws.uniform(2, 3).unbind(dim=1)
    turn_S33 = rotation((2 * angle_S3 - 1) * math.radians(angle))
    change_S33 = (1 + (scale - 1) * stretch_S3)[:, :, None] * turn_S33
    if keep_residual:
        change_S33 = change_S33 - torch.eye(3, device=change_S33.device)
    device = signal_SLT.device
    with torch.autocast(device.type, enabled=False):
        leads_SLT = to_leads().to(device) @ change_S33 @ (to_vector().to(device) @ signal_SLT.float())
    return signal_SLT + leads_SLT if keep_residual else leads_SLT
