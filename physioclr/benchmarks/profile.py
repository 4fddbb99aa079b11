"""What part of the time of `engine: batched` is what."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.features import lead, measures
from physioclr.features.batched import beats, coarse, engine, fine, joint, quality
from physioclr.features.delineation import Delineation
from physioclr.features.extract import FeatureExtractor

# In the order they are run in; none is part of another. What is left over is copying and the making of results.
STAGES: dict[str, Callable[..., Any]] = {
    "all leads at 125 Hz": coarse.coarse,
    "the signal that is measured": lead.choose_lead,
    "filters": engine.clean,
    "beats": beats.find_beats,
    "waves in all leads": joint.find_waves,
    "quality": quality.lead_quality,
    "waves at 500 Hz": fine.measure_waves,
    "order of the points": Delineation.from_points,
    "150 numbers": measures.measure,
}


def stage_shares(extract: FeatureExtractor, signals: NDArray[Any]) -> dict[str, float]:
    """Shares of the time by stage, `rest` included, for recordings [n, 12, 5000]."""
    extract(signals[:1])
    profile = cProfile.Profile(time.process_time)  # what else runs on the machine does not count
    profile.runcall(extract, signals)
    stats = pstats.Stats(profile)
    spent = {function: times[3] for function, times in stats.stats.items()}  # type: ignore[attr-defined]
    total = stats.total_tt  # type: ignore[attr-defined]
    shares = {name: _seconds(spent, stage) / total for name, stage in STAGES.items()}
    shares["rest"] = 1.0 - sum(shares.values())
    return {name: round(float(np.clip(share, 0.0, 1.0)), 4) for name, share in shares.items()}


def _seconds(spent: dict[tuple[str, int, str], float], stage: Callable[..., Any]) -> float:
    code = getattr(stage, "__func__", stage).__code__
    return spent.get((code.co_filename, code.co_firstlineno, code.co_name), 0.0)
