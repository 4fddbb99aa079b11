"""What is done for one cell of a comparison. Everything it leaves is written whole, so a cell is done or not done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import expit

from physioclr import storage
from physioclr.baselines.minirocket import fit_minirocket
from physioclr.baselines.tabular import fit_boosting, fit_logistic
from physioclr.comparison import WEIGHED
from physioclr.downstream import EmbedConfig
from physioclr.ecg.record import FS
from physioclr.encoder import export_encoder
from physioclr.evaluation.probe import Probe, fit_probe
from physioclr.evaluation.together import best_weights, together
from physioclr.method.encoder import Encoder
from physioclr.method.views import decode
from physioclr.pipeline import run
from physioclr.pipeline.compare_cells import AnswerCell, EncoderCell
from physioclr.pipeline.dataset import PreparedDataset, read_table
from physioclr.pipeline.embedding import embed_archive, read_embeddings
from physioclr.pipeline.finetune import finetune, what_was_seen
from physioclr.pipeline.finetune_result import SEGMENTS, write_predictions
from physioclr.pipeline.labelled import Labelled, read_labelled
from physioclr.pipeline.packing import features_of, signals_of
from physioclr.pipeline.pretrain import pretrain
from physioclr.pipeline.trained_on import SCHEMA, write_trained_on

Floats = NDArray[np.float64]
KEY = ("dataset", "record_id", "window")


def make_encoder(cell: EncoderCell, prepared: dict[str, str], console: Console) -> None:
    """The encoder, and the embeddings of the recordings in `prepared`: where they go, by the dataset's URI."""
    if not cell.untrained:
        pretrain(cell.config, console)
    elif run.summary_of(cell.uri) is None:
        run.claim(cell.config)
        torch.manual_seed(cell.config.training.seed)
        export_encoder(Encoder(cell.config.model), cell.config.model, cell.encoder, trained_on={"run": "untrained"})
        write_trained_on(SCHEMA.empty_table(), cell.encoder)
        run.write_summary(cell.uri, {"run": cell.config.name, "encoder": cell.encoder})
    for uri, embeddings in prepared.items():
        config = EmbedConfig(encoder=cell.encoder, prepared=uri, uri=embeddings, device=cell.config.training.device)
        embed_archive(config, console)


def answer(cell: AnswerCell, console: Console) -> None:
    """Train or fit, and leave `predictions.parquet` and a summary."""
    if run.summary_of(cell.uri) is not None:
        return
    if cell.trained:
        finetune(cell.config, console)
        return
    started = time.perf_counter()
    data = read_labelled(cell.config, PreparedDataset.open(cell.config.prepared))
    seen = what_was_seen(cell.config, data, console)
    scores, facts = _fitted(cell, data)
    write_predictions(data, scores, storage.join(cell.uri, "predictions.parquet"))
    summary = {
        "run": cell.config.name,
        "answer": cell.answer,
        "task": data.task.name,
        "classes": list(data.task.classes),
        "data": data.counts(),
        "overlap": seen.overlap,
        "trained": facts,
        "seconds": round(time.perf_counter() - started, 1),
    }
    run.write_summary(cell.uri, json.loads(json.dumps(summary)))


def _fitted(cell: AnswerCell, data: Labelled) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Scores [n, 2, C] of the validation and test rows, and what was chosen."""
    if cell.answer == "minirocket":
        return _minirocket(cell, data)
    if cell.parts:
        return _together(cell, data)
    if cell.answer == "probe":
        return _probed(_embeddings(cell, data), data, fit_probe)
    if cell.answer == "logistic":
        return _probed(_features(data), data, fit_logistic)
    x, y = _flat(_features(data), data)
    trees = fit_boosting(x["train"], y["train"], x["validation"], y["validation"], seed=cell.config.training.seed)
    return _scores(lambda rows: expit(trees.scores(rows)), x, data), {"leaves": trees.leaves, "rounds": trees.rounds}


def _together(cell: AnswerCell, data: Labelled) -> tuple[dict[str, Floats], dict[str, Any]]:
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
    return scores, {"weights": dict(zip([part.config.name for part in cell.parts], weights, strict=True))}


def _read_scores(table: pa.Table, part: str, data: Labelled) -> Floats:
    """Scores [n, 2, C] of a part's rows of `predictions.parquet`."""
    rows = table.filter(pc.equal(table["split"], part))
    columns = [rows[f"score_{name}"].to_numpy() for name in data.task.classes]
    return np.stack(columns, axis=1).reshape(-1, SEGMENTS, len(columns))


def _probed(x_n2d: Floats, data: Labelled, fit_to: Callable[..., Probe]) -> tuple[dict[str, Floats], dict[str, Any]]:
    x, y = _flat(x_n2d, data)
    probe = fit_to(x["train"], y["train"], x["validation"], y["validation"])
    return _scores(probe.scores, x, data), {"c": probe.c, "converged": probe.converged}


def _flat(x_n2d: Floats, data: Labelled) -> tuple[dict[str, Floats], dict[str, NDArray[np.bool_]]]:
    """A row a segment of each part, and the outcomes of those that are learned from."""
    x = {name: x_n2d[data.part(name)].reshape(-1, x_n2d.shape[-1]) for name in ("train", "validation", "test")}
    return x, {name: np.repeat(data.y[data.part(name)], SEGMENTS, axis=0) for name in ("train", "validation")}


def _scores(scorer: Callable[[Floats], Floats], x: dict[str, Floats], data: Labelled) -> dict[str, Floats]:
    shape = (-1, SEGMENTS, len(data.task.classes))
    return {name: scorer(x[name]).reshape(shape) for name in ("validation", "test")}


def _minirocket(cell: AnswerCell, data: Labelled) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Of whole windows: both halves get the same score."""

    def signals(part: str) -> NDArray[np.float32]:
        stored = signals_of(data.selection(data.part(part)).take(np.arange(len(data.part(part))), ("signal",)))
        return np.asarray(decode(torch.from_numpy(stored.copy())).numpy())

    seed = cell.config.training.seed
    model = fit_minirocket(signals("train"), data.y[data.split.train], fs=FS, seed=seed)
    scores = {
        name: np.repeat(model.scores(signals(name))[:, None], SEGMENTS, axis=1) for name in ("validation", "test")
    }
    return scores, {"alphas": model.alphas.tolist()}


def _features(data: Labelled) -> Floats:
    """The 150 features of both halves: [n, 2, 150]."""
    everyone = np.arange(len(data.rows))
    return features_of(data.selection(everyone).take(everyone, ("features",))).astype(np.float64)


def _embeddings(cell: AnswerCell, data: Labelled) -> Floats:
    """Embeddings of both halves, [n, 2, width], found by dataset, recording and window."""
    found: dict[tuple[Any, ...], int] = {}
    parts = []
    tables = (read_embeddings(uri, (*KEY, "embedding")) for uri in cell.embeddings.values())
    for table in chain.from_iterable(tables):
        values = table["embedding"].combine_chunks().flatten().to_numpy()
        parts.append(values.reshape(table.num_rows, SEGMENTS, -1).astype(np.float64))
        for key in zip(*(table[name].to_pylist() for name in KEY), strict=True):
            found[key] = len(found)
    wanted = zip(*(data.facts[name].to_pylist() for name in KEY), strict=True)
    return np.concatenate(parts)[[found[key] for key in wanted]]
