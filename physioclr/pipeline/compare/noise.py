"""What a comparison under noise needs beside its cells: features, embeddings and scores of test recordings, level by
level. A level is a file, written whole: what is there is not done again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console

from physioclr import storage
from physioclr.config import FeatureConfig, NoiseConfig
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline import cluster, run
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell, NoisyEmbeddings, NoisyTest
from physioclr.pipeline.compare.noisy import KEY, by_kind, keys_of, level_name, with_levels
from physioclr.pipeline.dataset import PreparedDataset, write_table
from physioclr.pipeline.embed.scoring import under_noise
from physioclr.pipeline.finetune.labelled import read_labelled
from physioclr.pipeline.finetune.result import write_predictions
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.packing import signals_of

ROWS_AT_ONCE = 64  # windows read, made noisy and measured together
ROW_GROUP_ROWS = 1024


def levels_left(cell: AnswerCell) -> list[NoiseConfig]:
    """Levels at which the answer's test recordings have not been scored."""
    levels = () if cell.noise is None else cell.noise.levels
    return [level for level in levels if not storage.exists(cell.under_noise(level))]


def is_done(cell: AnswerCell) -> bool:
    """Whether there is nothing left to do for an answer."""
    return run.summary_of(cell.uri) is not None and not levels_left(cell)


def noisy_features(cell: AnswerCell, level: NoiseConfig) -> str:
    """The file of the features of the cell's test recordings at a level."""
    assert cell.noise is not None, "only asked where there are levels"
    return cell.noise.features(level)


def noisy_embeddings(cell: AnswerCell, level: NoiseConfig) -> str:
    """The file of their embeddings."""
    return embeddings_file(cell.noisy_embeddings.uri, level)


def embeddings_file(folder: str, level: NoiseConfig) -> str:
    """The file of a level in a folder of embeddings under noise."""
    return storage.join(folder, f"{level_name(level)}.parquet")


def measure_under_noise(rows: NoisyTest, levels: Sequence[NoiseConfig]) -> None:
    """Measure the 150 features of the rows at levels of one noise, with the engine and lead of their dataset."""
    left = [level for level in levels if not storage.exists(rows.features(level))]
    if not left:
        return
    dataset = PreparedDataset.open(rows.dataset.uri)
    selection = Selection.of(dataset, rows.splits)
    extract = FeatureExtractor(FeatureConfig.model_validate(dataset.manifest.config["features"]))
    keys, parts = [], []
    for start in range(0, len(selection), ROWS_AT_ONCE):
        table = selection.take(np.arange(start, min(start + ROWS_AT_ONCE, len(selection))), (*KEY, "signal"))
        keys.append(table.select(KEY))
        noisy = with_levels(signals_of(table), keys_of(keys[-1].to_pylist()), left)
        parts.append([[[half.features for half in halves] for halves in extract(one)] for one in noisy])
    for place, level in enumerate(left):
        features = np.concatenate([np.asarray(part[place], dtype=np.float32) for part in parts])
        _write(pa.concat_tables(keys), "features", features, rows.features(level))


def embed_under_noise(cell: EncoderCell, wanted: NoisyEmbeddings, console: Console) -> None:
    """Embed the rows at the levels that there is no file of."""
    rows = wanted.rows
    left = [level for level in rows.levels if not storage.exists(embeddings_file(wanted.uri, level))]
    if not left:
        return
    selection = Selection.of(PreparedDataset.open(rows.dataset.uri), rows.splits)
    facts = selection.take(np.arange(len(selection)), KEY)
    gpu = _on_gpu(cell.config.training.device)
    for levels in by_kind(left):
        found = under_noise(selection, cell.encoder, wanted.token_pool, gpu, levels, console)
        for level, values in found.items():
            _write(facts, "embedding", values, embeddings_file(wanted.uri, level))


def score_under_noise(cell: AnswerCell, console: Console) -> None:
    """Score the test recordings with the cell's trained classifier at the levels that are left."""
    left = levels_left(cell)
    if not left:
        return
    data = read_labelled(cell.config, PreparedDataset.open(cell.config.prepared))
    gpu = _on_gpu(cell.config.training.device)
    for levels in by_kind(left):
        classifier = storage.join(cell.uri, "encoder")
        found = under_noise(data.selection(data.split.test), classifier, None, gpu, levels, console)
        for level, values in found.items():
            write_predictions(data, {"test": values.astype(np.float64)}, cell.under_noise(level))


def _on_gpu(device: str) -> bool:
    return device != "cpu" and cluster.resources()["GPU"] >= 1


def _write(facts: pa.Table, name: str, values: NDArray[np.float32], uri: str) -> None:
    """`facts` with values [n, 2, d] as a column of lists."""
    flat = values.reshape(len(values), -1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    write_table(facts.append_column(name, column), uri, ROW_GROUP_ROWS)
