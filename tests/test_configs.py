"""Every shipped configuration loads with its job's model, says what each key does, and holds what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from physioclr import configfile
from physioclr.comparison import CompareConfig
from physioclr.config import PrepareConfig, PretrainConfig, SourceConfig
from physioclr.costs import CostTable
from physioclr.downstream import EmbedConfig, FinetuneConfig
from physioclr.search import SearchConfig

CONFIGS = Path(__file__).parents[1] / "configs"
FILES = sorted(CONFIGS.glob("[!_]*.yaml"))  # a leading underscore: a file of one's own, not shipped
MODELS: dict[str, type[BaseModel]] = {
    "prepare": PrepareConfig,
    "pretrain": PretrainConfig,
    "embed": EmbedConfig,
    "finetune": FinetuneConfig,
    "compare": CompareConfig,
    "search": SearchConfig,
    "costs": CostTable,
}
KEY = re.compile(r"^\s*(?:- )?[a-z_0-9]+:(?:\s|$)")


def load(name: str) -> BaseModel:
    return configfile.load(MODELS[name.split("_")[0]], str(CONFIGS / f"{name}.yaml"))


def pretrain(name: str) -> PretrainConfig:
    config = load(name)
    assert isinstance(config, PretrainConfig)
    return config


def without_comment(text: str) -> list[str]:
    """Key lines that have no comment behind them or in the line above."""
    lines = text.splitlines()
    return [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if KEY.match(line) and "  # " not in line and not above.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_loads_with_the_model_of_its_job(file: Path) -> None:
    load(file.stem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_key_has_a_comment(file: Path) -> None:
    assert without_comment(file.read_text()) == []


def test_a_key_without_a_comment_is_found() -> None:
    text = "a: 1  # one\n# two\nb: 2\nc: 3\nd:\n  - e: 5\n"
    assert without_comment(text) == ["c: 3", "d:", "  - e: 5"]


@pytest.mark.parametrize(
    ("demo", "default", "keys"),
    [
        ("pretrain_demo", PretrainConfig(), {PretrainConfig, SourceConfig}),
        ("finetune_demo", FinetuneConfig(), {FinetuneConfig}),
    ],
)
def test_a_demo_is_the_embedded_default_and_sets_every_key(
    demo: str, default: BaseModel, keys: set[type[BaseModel]]
) -> None:
    assert load(demo) == default
    text = (CONFIGS / f"{demo}.yaml").read_text()
    written = {match.group().strip(" -:\n") for match in re.finditer(KEY.pattern, text, re.MULTILINE)}
    assert written == set().union(*map(names, keys))


def test_the_comparison_demo_is_the_embedded_default() -> None:
    assert load("compare_demo") == CompareConfig()


def test_the_embedding_demo_is_the_embedded_default() -> None:
    assert load("embed_demo") == EmbedConfig()


def names(model: type[BaseModel]) -> set[str]:
    """Names of all keys of a configuration, sections included."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= names(field.annotation)
    return found


def test_what_was_prepared_is_what_is_pretrained_on() -> None:
    assert pretrain("pretrain_ptb_xl").dataset == load("prepare_ptb_xl")
    own, prepared = pretrain("pretrain_own").dataset, load("prepare_own")
    assert isinstance(prepared, PrepareConfig)
    assert own.uri == prepared.uri
    assert own.sources == (), "it is taken as it is, whatever the user changed in preparing it"


def test_the_paper_has_the_values_of_the_paper() -> None:
    config = pretrain("pretrain_paper")
    assert config.model.size == "base"
    assert config.model.dropout == 0.1

    objective = config.objective
    assert (objective.delta, objective.temperature) == (0.25, 0.1)
    assert (objective.global_weight, objective.peak_weight) == (0.2, 0.1)
    assert objective.form == "released"
    assert objective.patient_positives == "record"
    assert objective.feature_positives
    assert objective.shuffle_positives

    optimiser = config.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.betas) == ("adam", 5e-5, (0.9, 0.98))
    assert (optimiser.weight_decay, optimiser.clip_norm) == (0.01, None)
    assert (optimiser.schedule, optimiser.warmup_steps) == ("constant", 0)

    training = config.training
    assert (training.epochs, training.workers, training.accumulate) == (200, 4, 4)
    assert training.batch_size == 64 * training.workers * training.accumulate

    assert [source.kind for source in config.dataset.sources] == ["mimic-iv-ecg", "ptb-xl"]
    assert all(source.uri.startswith("s3://physionet-open/") for source in config.dataset.sources)
    assert config.dataset.features.components == 50


def test_no_two_datasets_or_runs_share_a_place() -> None:
    """Except where one job makes what another uses."""
    runs = [f"{config.output}/{config.name}" for config in map(pretrain, stems("pretrain"))]
    assert len(set(runs)) == len(runs)
    prepared = [load(name).model_dump()["uri"] for name in stems("prepare")]
    assert len(set(prepared)) == len(prepared)


def test_what_is_fine_tuned_was_prepared_and_pretrained() -> None:
    for name in stems("finetune"):
        config = load(name)
        assert isinstance(config, FinetuneConfig)
        encoders = {f"{one.output}/{one.name}/encoder" for one in map(pretrain, stems("pretrain"))}
        assert config.encoder in encoders
    own = load("finetune_ptb_xl")
    assert isinstance(own, FinetuneConfig)
    assert own.prepared == pretrain("pretrain_ptb_xl").dataset.uri


def stems(job: str) -> list[str]:
    return [file.stem for file in FILES if file.stem.startswith(job)]
