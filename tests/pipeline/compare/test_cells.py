"""What a cell of a comparison depends on, and what not: its name says whether it was done before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from physioclr.comparison import CompareConfig
from physioclr.config import FeatureConfig, NoiseConfig
from physioclr.errors import ConfigError
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell, _identity, cells
from physioclr.pipeline.compare.job import fitted_to
from physioclr.pipeline.run import claim

METHODS: dict[str, Any] = {
    "physioclr": {"answers": ["probe", "finetune"]},
    "features": {"answers": ["logistic"]},
}


def cells_of(**values: Any) -> tuple[list[EncoderCell], list[AnswerCell]]:
    given = {"methods": METHODS, "output": "/out", "seeds": [0], "fractions": [1.0], **values}
    return cells(CompareConfig.model_validate(given))


def names(found: tuple[list[EncoderCell], list[AnswerCell]]) -> set[str]:
    return {cell.uri for cell in (*found[0], *found[1])}


def test_every_answer_task_fraction_and_seed_is_a_cell_and_encoders_are_made_once() -> None:
    targets = {"demo": {"tasks": ["afib", "challenge-26"]}}
    encoders, answers = cells_of(targets=targets, fractions=[0.1, 1.0], seeds=[0, 1, 2])
    assert len(encoders) == 3
    assert len(answers) == 3 * 2 * 2 * 3
    assert len({cell.uri for cell in answers}) == len(answers)
    assert {cell.config.task for cell in answers} == {"afib", "challenge-26"}
    probe = next(cell for cell in answers if cell.answer == "probe" and cell.config.subset_seed == 2)
    assert probe.encoder is not None
    assert probe.encoder.config.training.seed == 2
    assert probe.config.encoder == probe.encoder.encoder
    assert probe.row == "physioclr/probe"


@pytest.mark.parametrize(
    "other",
    [
        {"name": "another"},
        {"reference": "features/logistic"},
        {"resamples": 10, "parallel": 3},
        {"pretrain": {"training": {"cpus_per_worker": 0.5, "workers": 2, "device": "cpu", "max_failures": 1}}},
        {"methods": {"renamed": METHODS["physioclr"], "features": METHODS["features"]}, "reference": "renamed/probe"},
    ],
)
def test_what_does_not_change_the_result_does_not_change_the_cells(other: dict[str, Any]) -> None:
    assert names(cells_of(**other)) == names(cells_of())


def test_another_budget_is_another_encoder_and_another_answer_of_it() -> None:
    before, after = cells_of(), cells_of(pretrain={"training": {"epochs": 5}})
    common = names(before) & names(after)
    assert {cell.uri for cell in before[1] if cell.answer == "logistic"} == common


def test_the_training_loop_of_answers_does_not_concern_what_is_fitted() -> None:
    before, after = cells_of(), cells_of(finetune={"training": {"epochs": 9}})
    changed = names(before) - names(after)
    assert changed == {cell.uri for cell in before[1] if cell.answer == "finetune"}


@pytest.mark.parametrize("key", ["features", "split", "sources"])
def test_another_dataset_is_another_answer(key: str) -> None:
    other: dict[str, Any] = {
        "features": {"lead": "II"},
        "split": {"test": 0.2},
        "sources": [{"kind": "demo", "patients": 5}],
    }
    after = cells_of(targets={"demo": {"dataset": {key: other[key]}, "tasks": ["afib"]}})
    assert not {cell.uri for cell in cells_of()[1]} & {cell.uri for cell in after[1]}


def test_a_method_says_only_what_differs() -> None:
    methods = {
        **METHODS,
        "cmsc": {"pretrain": {"method": {"name": "cmsc", "temperature": 0.2}, "training": {"epochs": 7}}},
        "untrained": {"untrained": True},
    }
    encoders, _ = cells_of(methods=methods, pretrain={"training": {"batch_size": 16}})
    by_method = {"untrained" if one.untrained else one.config.method.name: one.config for one in encoders}
    assert by_method["cmsc"].method.model_dump()["temperature"] == 0.2
    assert (by_method["cmsc"].training.epochs, by_method["cmsc"].training.batch_size) == (7, 16)
    assert by_method["physioclr"].training.epochs == 4
    assert len({config.name for config in by_method.values()}) == 3


def test_a_network_trained_from_nothing_is_of_the_methods_own_size() -> None:
    methods = {**METHODS, "scratch": {"answers": ["scratch"], "pretrain": {"model": {"size": "small"}}}}
    _, answers = cells_of(methods=methods)
    sizes = {cell.answer: cell.config.model.size for cell in answers}
    assert (sizes["scratch"], sizes["finetune"]) == ("small", "tiny")


def test_a_cell_goes_on_on_another_device(tmp_path: Path) -> None:
    """Its name does not say the device, so a run of that name must take it."""
    for device in ("cpu", "gpu"):
        training = {"training": {"device": device}}
        encoders, answers = cells_of(output=str(tmp_path), pretrain=training, finetune=training)
        for cell in (*encoders, *(cell for cell in answers if cell.trained)):
            claim(cell.config)
    assert len(list(tmp_path.rglob("config.yaml"))) == 2


def test_a_wrong_key_of_a_method_is_named() -> None:
    wrong = {**METHODS, "other": {"pretrain": {"objective": {"dleta": 0.1}}}}
    with pytest.raises(
        ConfigError, match=r"'objective.dleta' in methods.other.pretrain; did you mean 'objective.delta'"
    ):
        cells_of(methods=wrong)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reference": "nobody/probe"}, "reference 'nobody/probe' is none of physioclr/probe, physioclr/finetune"),
        ({"finetune": {"label_fraction": 0.5}}, "finetune.label_fraction is set by each cell"),
        ({"methods": {"a/b": {}}, "reference": "a/b/probe"}, "must not be empty or have a slash"),
        ({"fractions": []}, "at least 1 item"),
        ({"name": "noise"}, "noise is a folder that all comparisons of this output share; give another name"),
        (
            {"methods": {**METHODS, "folds": {"answers": ["scratch"], "finetune": {"split": {"folds": 5}}}}},
            "methods.folds.finetune.split is set by each cell; leave it out",
        ),
    ],
)
def test_what_does_not_fit_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        cells_of(**values)


def test_what_is_trained_and_its_probe_are_together_one_answer() -> None:
    """The probe is the one of the encoder, whatever training begins as, and needs its embeddings."""
    methods = {"physioclr": {"answers": ["all+probe+weighed"], "finetune": {"head": "probe"}}}
    (encoder,), (cell,) = cells_of(methods=methods, reference="physioclr/all+probe+weighed")
    assert [part.answer for part in cell.made_of] == ["all", "probe", "logistic", "boosting"]
    probe = next(one for one in cells_of()[1] if one.answer == "probe")
    assert fitted_to(encoder, [cell]) == [cell.made_of[1]]
    assert cell.made_of[1].uri == probe.uri
    random = cells_of(methods={"physioclr": {"answers": ["all"]}}, reference="physioclr/all")[1][0]
    assert random.uri != cell.made_of[0].uri, "what training begins as is part of what is trained"


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no task 'afibb'; the tasks are superclasses"):
        cells_of(targets={"demo": {"tasks": ["afib", "afibb"]}})


def test_another_dataset_to_test_on_is_another_answer_of_the_same_encoder() -> None:
    target = {"dataset": {"uri": "/home"}, "test": {"uri": "/away"}, "tasks": ["afib"]}
    home = {"dataset": {"uri": "/home"}, "tasks": ["afib"]}
    encoders, answers = cells_of(targets={"home": home, "away": target})
    assert len(encoders) == 1
    assert len({cell.uri for cell in answers}) == len(answers) == 6
    away = next(cell for cell in answers if cell.target == "away" and cell.answer == "probe")
    assert away.config.test == "/away"
    assert [one.prepared for one in away.embeddings] == ["/home", "/away"]


@pytest.mark.parametrize(
    "other",
    [
        {"ablation": {"drop": 0.5}},
        {"ablation": {"random": True}},
        {"dataset": {"features": {"noise": {"kind": "mix", "db": 6}}}},
    ],
)
def test_an_ablation_is_another_encoder_and_leaves_the_target_as_it_is(other: dict[str, Any]) -> None:
    methods = {**METHODS, "degraded": {"pretrain": other}}
    encoders, answers = cells_of(methods=methods)
    assert len(encoders) == 2
    assert len({cell.datasets for cell in answers}) == 1
    assert {cell.uri for cell in answers} > {cell.uri for cell in cells_of()[1]}


def test_what_is_not_set_has_no_part_in_a_name() -> None:
    """So that cells made before there was an experiment are found."""
    config = CompareConfig()
    assert "ablation" not in _identity(config.pretrain)
    assert "noise" not in _identity(config.pretrain)["dataset"]["features"]
    assert "noise" not in _identity(config.pretrain.dataset)["features"]
    noisy = FeatureConfig(noise=NoiseConfig(db=3.0))
    assert _identity(config.pretrain.dataset.model_copy(update={"features": noisy}))["features"]["noise"]["db"] == 3.0


def test_other_pooling_is_another_answer_with_embeddings_of_its_own() -> None:
    """Of the same encoder; and what was answered before there was any is found."""
    asked = {"answers": ["probe", "all", "probe+features"]}
    methods = {"mean": asked, "statistics": {**asked, "finetune": {"token_pool": "statistics"}}}
    encoders, answers = cells_of(methods=methods, noise={}, reference="mean/probe")
    assert len(encoders) == 1
    assert len({cell.uri for cell in answers}) == len(answers)
    mean, statistics = (next(cell for cell in answers if cell.method == name) for name in methods)
    assert {one.token_pool for one in mean.embeddings} == {mean.noisy_embeddings.token_pool} == {"mean"}
    assert (
        {one.token_pool for one in statistics.embeddings} == {statistics.noisy_embeddings.token_pool} == {"statistics"}
    )
    assert not {one.uri for one in mean.embeddings} & {one.uri for one in statistics.embeddings}
    assert "token_pool" not in _identity(mean.config)
    both = [cell for cell in answers if cell.answer == "probe+features"]
    assert len({cell.parts[0].uri for cell in both}) == 2
    assert len({cell.parts[1].uri for cell in both}) == 1, "the features alone have no tokens"


def test_augmented_training_is_another_answer_of_what_is_trained_alone() -> None:
    """And what was answered before there was any is found."""
    asked = {"answers": ["probe", "all"]}
    methods = {"plain": asked, "cropped": {**asked, "finetune": {"augment": {"crops": True}}}}
    _, answers = cells_of(methods=methods, reference="plain/probe")
    assert "augment" not in _identity(next(cell for cell in answers if cell.method == "plain").config)
    differing = {"probe": False, "all": True}
    for answer, differs in differing.items():
        uris = [{cell.uri for cell in answers if (cell.method, cell.answer) == (name, answer)} for name in methods]
        assert (uris[0] != uris[1]) == differs


def test_noise_is_more_files_of_the_same_cells() -> None:
    noise = {"kinds": ["mains", "mix"], "db": [6, 0], "seed": 3}
    methods = {"physioclr": {"answers": ["probe", "probe+features"]}}
    before, after = (cells_of(methods=methods, noise=each) for each in (None, noise))
    assert names(after) == names(before)
    assert {cell.noise for cell in before[1]} == {None}
    probe, both = after[1]
    assert probe.noise is not None
    assert probe.noise == both.noise == both.parts[0].noise == both.parts[1].noise
    files = [probe.under_noise(level).removeprefix(probe.uri) for level in probe.noise.levels]
    assert files == [f"/noise/{name}-3.parquet" for name in ("mains-6", "mains-0", "mix-6", "mix-0")]
    assert probe.noise.splits == ("test",)
    assert probe.noisy_embeddings.uri.startswith(probe.embeddings[0].uri)


def test_of_another_dataset_all_rows_are_tested_under_noise() -> None:
    target = {"dataset": {"uri": "/home"}, "test": {"uri": "/away"}, "tasks": ["afib"]}
    _, answers = cells_of(targets={"home": {"dataset": {"uri": "/home"}}, "away": target}, noise={})
    home, away = (next(cell.noise for cell in answers if cell.target == name) for name in ("home", "away"))
    assert home is not None
    assert away is not None
    assert (away.dataset.uri, away.splits) == ("/away", ("train", "validation", "test"))
    assert (home.dataset.uri, len(home.levels)) == ("/home", 20)
    assert home.uri != away.uri
