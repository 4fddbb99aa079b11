"""YAML and KEY=VALUE to configuration: right values, and one sentence for wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from physioclr import configfile
from physioclr.config import PrepareConfig, PretrainConfig
from physioclr.errors import ConfigError, StorageError


def load(text: str, tmp_path: Path, *overrides: str) -> PretrainConfig:
    (tmp_path / "c.yaml").write_text(text)
    return configfile.load(PretrainConfig, str(tmp_path / "c.yaml"), overrides)


def test_without_a_file_the_defaults_hold() -> None:
    assert configfile.load(PretrainConfig, None) == PretrainConfig()


def test_what_is_dumped_loads_as_it_was(tmp_path: Path) -> None:
    config = PretrainConfig(name="x", dataset=PrepareConfig(uri="s3://a/b"))
    assert load(configfile.dump(config), tmp_path) == config


def test_overrides_win_and_are_typed(tmp_path: Path) -> None:
    config = load(
        "training: {epochs: 3}",
        tmp_path,
        "training.epochs=5",
        "dataset.sources.0.kind=ptb-xl",
        "optimiser.clip_norm=null",
    )
    assert config.training.epochs == 5
    assert config.dataset.sources[0].kind == "ptb-xl"
    assert config.optimiser.clip_norm is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainin: {epochs: 3}", "Unknown key 'trainin' .* did you mean 'training'?"),
        ("training: {epoch: 3}", "did you mean 'training.epochs'?"),
        ("delta: 0.5", "did you mean 'objective.delta'?"),
        ("dataset: {sources: [{kid: demo}]}", "did you mean 'dataset.sources.0.kind'?"),
        ("training: {epochs: many}", "training.epochs .* 'many': .*integer"),
        ("training: {epochs: 0}", "training.epochs .* greater than or equal to 1"),
        ("objective: {form: other}", "objective.form .* 'released' or 'supcon'"),
        ("training: {batch_size: 10, workers: 4}", "10 cannot be shared by 4 workers .* multiple of 4"),
        ("dataset: {split: {validation: 0.6, test: 0.5}}", "below 1"),
        ("- a\n- b", "must hold `key: value` lines"),
        ("a: [1", "not valid YAML at line"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(text, tmp_path)
    assert "\n" not in str(caught.value)
    assert "c.yaml" in str(caught.value)


@pytest.mark.parametrize("override", ["training.epochs", "name.first=x", "dataset.sources.7.kind=demo"])
def test_a_wrong_override_is_named(override: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0].split(".")[0]):
        load("name: n\ndataset: {sources: []}", tmp_path, override)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(StorageError, match=r"nowhere\.yaml does not exist"):
        configfile.load(PretrainConfig, "/nowhere.yaml")


def test_differing_keys_are_dotted_and_can_be_ignored() -> None:
    before = yaml.safe_load(configfile.dump(PretrainConfig()))
    now = yaml.safe_load(
        configfile.dump(configfile.load(PretrainConfig, None, ["training.workers=1", "dataset.sources.0.seed=4"]))
    )
    assert configfile.differing_keys(before, now) == ["dataset.sources.0.seed", "training.workers"]
    assert configfile.differing_keys(before, now, ignore=["training.workers"]) == ["dataset.sources.0.seed"]


def test_a_stored_configuration_has_the_defaults_of_keys_that_came_later() -> None:
    now = PretrainConfig(name="x").model_dump(mode="json")
    before = {**now, "training": {key: value for key, value in now["training"].items() if key != "accumulate"}}
    assert configfile.differing_keys(before, now) == ["training.accumulate"]
    assert configfile.completed(PretrainConfig, before) == now
    of_another_kind = {"name": "x", "colour": "green"}
    assert configfile.completed(PretrainConfig, of_another_kind) == of_another_kind
