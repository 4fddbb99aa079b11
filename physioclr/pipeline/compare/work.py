"""What is done for one cell of a comparison. Everything it leaves is written whole, so a cell is done or not done."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import torch
from rich.console import Console

from physioclr import storage
from physioclr.downstream import EmbedConfig
from physioclr.encoder import export_encoder
from physioclr.method.encoder import Encoder
from physioclr.pipeline import run
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell, NoisyEmbeddings
from physioclr.pipeline.compare.fit import Fit, fit
from physioclr.pipeline.compare.noise import embed_under_noise, is_done, levels_left, score_under_noise
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.embed.job import embed_archive
from physioclr.pipeline.finetune.job import check_overlap, finetune
from physioclr.pipeline.finetune.labelled import Labelled, read_labelled
from physioclr.pipeline.finetune.result import write_predictions
from physioclr.pipeline.finetune.trained_on import SCHEMA, write_trained_on
from physioclr.pipeline.pretrain.job import pretrain


def make_encoder(
    cell: EncoderCell, wanted: Sequence[EmbedConfig], noisy: Sequence[NoisyEmbeddings], console: Console
) -> None:
    """The encoder, the embeddings that are `wanted` of it, and those of test recordings under noise."""
    if not cell.untrained:
        pretrain(cell.config, console)
    elif run.summary_of(cell.uri) is None:
        run.claim(cell.config)
        torch.manual_seed(cell.config.training.seed)
        export_encoder(Encoder(cell.config.model), cell.config.model, cell.encoder, trained_on={"run": "untrained"})
        write_trained_on(SCHEMA.empty_table(), cell.encoder)
        run.write_summary(cell.uri, {"run": cell.config.name, "encoder": cell.encoder})
    for config in wanted:
        embed_archive(config, console)
    for one in noisy:
        embed_under_noise(cell, one, console)


def answer(cell: AnswerCell, console: Console) -> None:
    """Train or fit, and leave `predictions.parquet` and a summary, and beside them predictions under noise.

    Trained or fitted is once; what another comparison has trained is only scored, what it has fitted is fitted again.
    """
    if is_done(cell):
        return
    if cell.trained:
        finetune(cell.config, console)
        score_under_noise(cell, console)
        return
    started = time.perf_counter()
    data = read_labelled(cell.config, PreparedDataset.open(cell.config.prepared))
    found = fit(cell, data)
    if run.summary_of(cell.uri) is None:
        _write(cell, data, found, started, console)
    for level in levels_left(cell):
        write_predictions(data, {"test": found.under(level)}, cell.under_noise(level))


def _write(cell: AnswerCell, data: Labelled, found: Fit, started: float, console: Console) -> None:
    seen = check_overlap(cell.config, data, console)
    write_predictions(data, found.scores, storage.join(cell.uri, "predictions.parquet"))
    summary = {
        "run": cell.config.name,
        "answer": cell.answer,
        "task": data.task.name,
        "classes": list(data.task.classes),
        "data": data.counts(),
        "not_in_training": list(data.never_seen()),
        **seen.stated,
        "trained": found.facts,
        "seconds": round(time.perf_counter() - started, 1),
    }
    run.write_summary(cell.uri, json.loads(json.dumps(summary)))
