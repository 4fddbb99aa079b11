"""Rows under noise through an encoder: every row at every level, in this process and on Ray Data alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rich.console import Console

from physioclr.config import ModelConfig, NoiseConfig
from physioclr.encoder import export_encoder, load_encoder
from physioclr.method.encoder import Encoder
from physioclr.pipeline.compare.noisy import KEY, keys_of, with_noise
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.embed import scoring
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.batches import segments_of
from physioclr.pipeline.training.packing import signals_of

LEVELS = [NoiseConfig(kind="mains", db=6.0), NoiseConfig(kind="mix", db=0.0), NoiseConfig(kind="mains", db=0.0)]


@pytest.fixture(scope="module")
def encoder_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    export_encoder(Encoder(ModelConfig()), ModelConfig(), uri, trained_on={})
    return uri


@pytest.mark.parametrize("rows_here", [512, 0])
def test_each_row_at_each_level_is_embedded(
    demo_dataset: PreparedDataset,
    encoder_uri: str,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    rows_here: int,
) -> None:
    monkeypatch.setattr(scoring, "ROWS_HERE", rows_here)
    selection = Selection.of(demo_dataset, ("test",), np.arange(1, 6))
    found = scoring.under_noise(selection, encoder_uri, "statistics", False, LEVELS, console)
    assert set(found) == set(LEVELS)
    network = load_encoder(encoder_uri, "cpu").network
    rows = selection.take(np.arange(5), (*KEY, "signal"))
    for level in LEVELS:
        for place, key in enumerate(keys_of(rows.select(KEY).to_pylist())):
            noisy = with_noise(signals_of(rows)[place : place + 1], [key], level)
            with torch.inference_mode():
                expected = network.embed(segments_of(noisy, torch.device("cpu")), "statistics").numpy()
            np.testing.assert_allclose(found[level][place], expected, atol=1e-5)


def test_no_levels_are_no_work(demo_dataset: PreparedDataset, console: Console) -> None:
    selection = Selection.of(demo_dataset, ("test",))
    assert scoring.under_noise(selection, "nowhere", "mean", False, [], console) == {}
