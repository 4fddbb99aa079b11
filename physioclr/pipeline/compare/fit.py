"""Answers that are fitted in this process: probes, trees, MiniRocket, and means of others. Once, on clean recordings.

Each can score its test recordings under noise afterwards, as often as there are levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from scipy.special import expit

from physioclr import storage
from physioclr.baselines.minirocket import MiniRocketRidge, fit_minirocket
from physioclr.baselines.tabular import fit_boosting, fit_logistic
from physioclr.comparison import WEIGHED
from physioclr.config import NoiseConfig
from physioclr.ecg.record import FS
from physioclr.evaluation.probe import Probe, fit_probe
from physioclr.evaluation.together import best_weights, together
from physioclr.method.views import decode
from physioclr.pipeline.compare.cells import AnswerCell
from physioclr.pipeline.compare.noise import noisy_embeddings, noisy_features
from physioclr.pipeline.compare.noisy import KEY, keys_of, with_noise
from physioclr.pipeline.dataset import read_table
from physioclr.pipeline.embed.job import read_embeddings
from physioclr.pipeline.finetune.labelled import Labelled
from physioclr.pipeline.finetune.result import SEGMENTS
from physioclr.pipeline.training.packing import features_of, signals_of

Floats = NDArray[np.float64]
Under = Callable[[NoiseConfig], Floats]
ROWS_AT_ONCE = 64  # windows with their noise, 0.5 MB each


@dataclass(frozen=True)
class Fit:
    """Scores [n, 2, C] of the validation and test rows, what was chosen, and the scores of the test rows at a level of
    noise."""

    scores: dict[str, Floats]
    facts: dict[str, Any]
    under: Under


def fit(cell: AnswerCell, data: Labelled) -> Fit:
    """Fit the answer of a cell that is not trained. Deterministic: another time it is the same."""
    if cell.answer == "minirocket":
        return _minirocket(cell, data)
    if cell.parts:
        return _together(cell, data)
    if cell.answer == "probe":
        seen = _embeddings(cell, data)
        return _probed(seen, lambda level: _of_test(noisy_embeddings(cell, level), "embedding", data), data, fit_probe)
    features, under = _features(data), lambda level: _of_test(noisy_features(cell, level), "features", data)
    if cell.answer == "logistic":
        return _probed(features, under, data, fit_logistic)
    x, y = _flat(features, data)
    trees = fit_boosting(x["train"], y["train"], x["validation"], y["validation"], seed=cell.config.training.seed)
    chosen = {"leaves": trees.leaves, "rounds": trees.rounds}
    return _scored(lambda rows: expit(trees.scores(rows)), x, under, data, chosen)


def _together(cell: AnswerCell, data: Labelled) -> Fit:
    """The scores of the cell's parts as one."""
    found: list[dict[str, Floats]] = []
    for part in cell.parts:
        table = read_table(storage.join(part.uri, "predictions.parquet"))
        found.append({name: _read_scores(table, name, data) for name in ("validation", "test")})
    weights = [1 / len(found)] * len(found)
    if cell.answer in WEIGHED:
        outcomes = np.repeat(data.y[data.split.validation], SEGMENTS, axis=0)
        weights = best_weights([one["validation"].reshape(len(outcomes), -1) for one in found], outcomes)
    scores = {name: together([one[name] for one in found], weights) for name in found[0]}

    def under(level: NoiseConfig) -> Floats:
        tables = (read_table(part.under_noise(level)) for part in cell.parts)
        return together([_read_scores(table, "test", data) for table in tables], weights)

    return Fit(scores, {"weights": dict(zip([part.config.name for part in cell.parts], weights, strict=True))}, under)


def _read_scores(table: pa.Table, part: str, data: Labelled) -> Floats:
    """Scores [n, 2, C] of a part's rows of `predictions.parquet`."""
    rows = table.filter(pc.equal(table["split"], part))
    columns = [rows[f"score_{name}"].to_numpy() for name in data.task.classes]
    return np.stack(columns, axis=1).reshape(-1, SEGMENTS, len(columns))


def _probed(x_n2d: Floats, noisy: Under, data: Labelled, fit_to: Callable[..., Probe]) -> Fit:
    x, y = _flat(x_n2d, data)
    probe = fit_to(x["train"], y["train"], x["validation"], y["validation"])
    return _scored(probe.scores, x, noisy, data, {"c": probe.c, "converged": probe.converged})


def _flat(x_n2d: Floats, data: Labelled) -> tuple[dict[str, Floats], dict[str, NDArray[np.bool_]]]:
    """A row a segment of each part, and the outcomes of those that are learned from."""
    x = {name: x_n2d[data.part(name)].reshape(-1, x_n2d.shape[-1]) for name in ("train", "validation", "test")}
    return x, {name: np.repeat(data.y[data.part(name)], SEGMENTS, axis=0) for name in ("train", "validation")}


def _scored(
    scorer: Callable[[Floats], Floats], x: dict[str, Floats], noisy: Under, data: Labelled, facts: dict[str, Any]
) -> Fit:
    """`scorer` takes rows [m, d] to [m, C]; `noisy` gives those of the test part, [n, 2, d]."""
    shape = (-1, SEGMENTS, len(data.task.classes))
    scores = {name: scorer(x[name]).reshape(shape) for name in ("validation", "test")}
    width = x["test"].shape[1]
    return Fit(scores, facts, lambda level: scorer(noisy(level).reshape(-1, width)).reshape(shape))


def _minirocket(cell: AnswerCell, data: Labelled) -> Fit:
    """Of whole windows: both halves get the same score."""

    def stored(part: str, rows: NDArray[np.int64] | None = None) -> pa.Table:
        of = data.part(part)
        return data.selection(of).take(np.arange(len(of)) if rows is None else rows, (*KEY, "signal"))

    seed = cell.config.training.seed
    model = fit_minirocket(_decoded(signals_of(stored("train"))), data.y[data.split.train], fs=FS, seed=seed)

    def under(level: NoiseConfig) -> Floats:
        everyone, parts = np.arange(len(data.split.test)), []
        for start in range(0, len(everyone), ROWS_AT_ONCE):
            table = stored("test", everyone[start : start + ROWS_AT_ONCE])
            parts.append(with_noise(signals_of(table), keys_of(table.select(KEY).to_pylist()), level))
        return _both_halves(model, parts)

    scores = {name: _both_halves(model, [signals_of(stored(name))]) for name in ("validation", "test")}
    return Fit(scores, {"alphas": model.alphas.tolist()}, under)


def _both_halves(model: MiniRocketRidge, parts: Iterable[NDArray[np.int16]]) -> Floats:
    return np.repeat(np.concatenate([model.scores(_decoded(part)) for part in parts])[:, None], SEGMENTS, axis=1)


def _decoded(stored: NDArray[np.int16]) -> NDArray[np.float32]:
    return np.asarray(decode(torch.from_numpy(stored.copy())).numpy())


def _features(data: Labelled) -> Floats:
    """The 150 features of both halves: [n, 2, 150]."""
    everyone = np.arange(len(data.rows))
    return features_of(data.selection(everyone).take(everyone, ("features",))).astype(np.float64)


def _embeddings(cell: AnswerCell, data: Labelled) -> Floats:
    """Embeddings of both halves, [n, 2, d]."""
    tables = (read_embeddings(one.uri, (*KEY, "embedding")) for one in cell.embeddings)
    return _looked_up(chain.from_iterable(tables), "embedding", data.facts)


def _of_test(file: str, column: str, data: Labelled) -> Floats:
    """Values of the test rows [n, 2, d] from a file that has them at a level of noise."""
    return _looked_up([read_table(file)], column, data.facts.take(pa.array(data.split.test)))


def _looked_up(tables: Iterable[pa.Table], column: str, wanted: pa.Table) -> Floats:
    """Values of both halves [n, 2, d] of the rows `wanted`, found by dataset, recording and window."""
    found: dict[tuple[Any, ...], int] = {}
    parts = []
    for table in tables:
        values = table[column].combine_chunks().flatten().to_numpy()
        parts.append(values.reshape(table.num_rows, SEGMENTS, -1).astype(np.float64))
        for key in keys_of(table.select(KEY).to_pylist()):
            found[key] = len(found)
    return np.concatenate(parts)[[found[key] for key in keys_of(wanted.select(KEY).to_pylist())]]
