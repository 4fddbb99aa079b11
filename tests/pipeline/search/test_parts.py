"""The parts of a search: what may be searched, what is proposed, what earlier trials teach, what is remembered."""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from physioclr.errors import ConfigError
from physioclr.pipeline.search.job import _scheduler, check
from physioclr.pipeline.search.ledger import Ledger, TrialRecord, read_records
from physioclr.pipeline.search.progress import SearchProgress
from physioclr.pipeline.search.proposals import Proposals, population
from physioclr.pipeline.search.result import best_config, best_record, finetune_config, importance, table
from physioclr.pipeline.search.space import as_drawn, check_space, drawn, grid_size, within
from physioclr.pipeline.search.trial import VALUES
from physioclr.search import METRIC, PROPOSAL, SearchConfig

SPACE: dict[str, Any] = {
    "objective.delta": {"low": -0.5, "high": 0.75},
    "objective.form": {"choices": ["supcon", "released"]},
    "model.depth": {"low": 1, "high": 3},
    "optimiser.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
}


IN_FLIGHT: dict[str, Any] = {key: SPACE[key] for key in ("objective.delta", "objective.form")}


def config_of(**values: Any) -> SearchConfig:
    return SearchConfig.model_validate({"space": SPACE, "output": "/out", **values})


def record(number: int, score: float, epochs: int = 3, status: str = "finished", **values: Any) -> TrialRecord:
    chosen = {"objective.delta": 0.1 * number, "objective.form": "supcon", "model.depth": 2}
    chosen |= {"optimiser.learning_rate": 1e-3, **values}
    curve = [{"epoch": epoch + 1, METRIC: score - 0.01 * (epochs - 1 - epoch)} for epoch in range(epochs)]
    return TrialRecord(f"{number:05d}", chosen, status, "because", curve, 10.0, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"space": {"dataset.uri": {"choices": ["a"]}}}, "dataset.uri is the same for all trials"),
        ({"space": {"training.epochs": {"low": 1, "high": 3}}}, "training.epochs is the same for all trials"),
        ({"space": {"objective.delta": {"low": 0.5, "high": 0.1}}}, "low 0.5 must be below high 0.1"),
        ({"space": {"objective.delta": {"low": 0.0, "high": 0.1, "log": True}}}, "must begin above 0"),
        ({"pretrain": {"monitor": {"probe": "none"}}}, "the probe is what is maximised"),
        ({"pruning": {"by": "population"}}, "model.depth cannot change while a trial is trained"),
        ({"propose": "grid"}, "objective.delta, optimiser.learning_rate has no grid"),
        ({"pruning": {"grace_epochs": 4}}, "pruning.grace_epochs 4 is above pretrain.training.epochs 3"),
        ({"then": "finetune"}, "then=finetune needs the section `finetune`"),
        ({"then": "finetune", "finetune": {"afib": {"encoder": "x"}}}, "finetune.afib must not have encoder"),
    ],
)
def test_what_cannot_be_searched_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config_of(**values)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"objective.dleta": {"low": 0.0, "high": 0.5}}, "did you mean 'objective.delta'"),
        ({"objective.delta": {"low": 0.0, "high": 1.5}}, "objective.delta in space.objective.delta is 1.5: .* 1"),
        ({"objective.form": {"choices": ["supcon", "other"]}}, "'other'.*'released' or 'supcon'"),
        ({"training.batch_size": {"low": 2.0, "high": 64.0}}, "training.batch_size in space.training.batch_size"),
        ({"training.batch_size": {"choices": [2, 1]}}, "greater than or equal to 2"),
    ],
)
def test_the_space_is_checked_against_the_types_of_the_configuration(space: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_space(config_of(space=space))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"full": {"training.epoch": 40}}, "did you mean 'training.epochs'"),
        ({"full": {"training.epochs": 0}}, "training.epochs in full is 0"),
        ({"then": "finetune", "finetune": {"afib": {"taks": "afib"}}}, "did you mean 'task'"),
    ],
)
def test_what_follows_is_checked_before_the_search_begins(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(config_of(**values))


def test_every_value_that_is_proposed_is_one_that_a_pretraining_takes() -> None:
    config = config_of(trials=30)
    check_space(config)
    proposals = Proposals(config, [])
    seen = [proposals.suggest(f"t{number}") for number in range(30)]
    assert [one[PROPOSAL]["trial"] for one in seen if one] == [f"{number:05d}" for number in range(30)]
    for one in seen:
        assert one is not None
        assert -0.5 <= one[PROPOSAL]["values"]["objective.delta"] <= 0.75
        assert one[PROPOSAL]["values"]["objective.form"] in ("supcon", "released")
        assert one[PROPOSAL]["values"]["model.depth"] in (1, 2, 3)
    assert {one[PROPOSAL]["values"]["model.depth"] for one in seen if one} == {1, 2, 3}


@given(delta=st.floats(-0.5, 0.75), form=st.sampled_from(["supcon", "released"]), depth=st.integers(1, 3))
def test_drawn_values_and_their_places_are_each_others_opposite(delta: float, form: str, depth: int) -> None:
    values = {"objective.delta": delta, "objective.form": form, "model.depth": depth, "optimiser.learning_rate": 1e-3}
    space = config_of().space
    assert drawn(space, as_drawn(space, values)) == values


def test_a_stopped_trial_comes_first_and_ended_ones_are_not_proposed_again() -> None:
    stopped = record(1, 0.7, epochs=1, status="running")
    proposals = Proposals(config_of(), [record(0, 0.8), stopped, record(2, 0.6, status="pruned")])
    first = proposals.suggest("a")
    assert first == {PROPOSAL: {"trial": "00001", "values": stopped.parameters, "checkpoint": None}}
    second = proposals.suggest("b")
    assert second is not None
    assert second[PROPOSAL]["trial"] == "00003"
    proposals.on_trial_complete("a", {METRIC: 0.75})
    proposals.on_trial_complete("b", {METRIC: 0.71})
    values = [trial.value for trial in proposals._optuna._ot_study.trials if trial.value]
    assert sorted(values) == [0.6, 0.71, 0.75, 0.8]


def test_a_trial_that_failed_is_tried_again_under_its_own_name() -> None:
    """There may be room now, or storage."""
    failed = TrialRecord("00000", record(0, 0.5).parameters, "failed", "no room")
    (again,) = population(config_of(space=IN_FLIGHT, trials=1), [failed])
    assert Proposals(config_of(), [failed]).suggest("a") == {PROPOSAL: again}
    assert again == {"trial": "00000", "values": failed.parameters, "checkpoint": None}
    assert not failed.ended


@pytest.mark.parametrize("begun", [["00001"], ["00000", "00002"]])
def test_no_two_trials_have_one_name_in_whatever_order_they_started(begun: list[str]) -> None:
    """Killed while they start, the first ones may have left no record."""
    records = [TrialRecord(name, record(1, 0.7).parameters) for name in begun]
    proposals = pickle.loads(pickle.dumps(Proposals(config_of(), records)))  # as Tune does
    proposed = [proposals.suggest(str(number))[PROPOSAL]["trial"] for number in range(4)]  # type: ignore[index]
    members = population(config_of(space=IN_FLIGHT, trials=4), records)
    assert sorted(proposed) == sorted(member["trial"] for member in members) == ["00000", "00001", "00002", "00003"]


def test_a_grid_does_not_propose_what_a_stopped_trial_has() -> None:
    space = {"objective.form": {"choices": ["supcon", "released"]}, "model.depth": {"low": 1, "high": 3}}
    config = config_of(space=space, propose="grid", trials=6)
    stopped = [TrialRecord("00000", {"objective.form": "released", "model.depth": depth}) for depth in (1, 2, 3)]
    proposals = Proposals(config, stopped)
    seen = [proposals.suggest(str(number))[PROPOSAL]["values"] for number in range(6)]  # type: ignore[index]
    assert len({(values["objective.form"], values["model.depth"]) for values in seen}) == 6


def test_what_ended_before_moves_the_proposals_towards_what_did_well() -> None:
    config = config_of(trials=40, space={"objective.delta": {"low": -0.5, "high": 0.75}})
    known = []
    for number in range(20):
        delta = -0.5 + 1.25 * number / 19
        known.append(
            TrialRecord(
                f"{number:05d}",
                {"objective.delta": delta},
                "finished",
                curve=[{"epoch": 1, METRIC: 0.9 - abs(delta - 0.4)}],
            )
        )

    def spread(records: list[TrialRecord]) -> float:
        proposals = Proposals(config, records)
        deltas = [proposals.suggest(str(number))[PROPOSAL]["values"]["objective.delta"] for number in range(10)]  # type: ignore[index]
        return sum(abs(delta - 0.4) for delta in deltas) / len(deltas)

    assert spread(known) < 0.7 * spread([])


def test_a_grid_is_proposed_once_each_and_then_ends() -> None:
    space = {"objective.form": {"choices": ["supcon", "released"]}, "model.depth": {"low": 1, "high": 3}}
    config = config_of(space=space, propose="grid", trials=100)
    assert grid_size(config.space) == 6
    proposals = Proposals(config, [])
    seen = []
    for number in range(6):
        one = proposals.suggest(str(number))
        assert one is not None
        values = one[PROPOSAL]["values"]
        seen.append((values["objective.form"], values["model.depth"]))
        proposals.on_trial_complete(str(number), {METRIC: 0.5})
    assert len(set(seen)) == 6


def test_pruning_knows_the_trials_of_earlier_starts() -> None:
    """A trial worse than all that ended before is stopped at the first rung, though Tune has seen no other."""

    class Now:
        trial_id = "now"

    poor = {"epoch": 1, METRIC: 0.5}
    for known, decision in (([], "CONTINUE"), ([record(number, 0.8) for number in range(4)], "STOP")):
        scheduler = _scheduler(config_of(), known)
        scheduler.on_trial_add(None, Now())
        assert scheduler.on_trial_result(None, Now(), poor) == decision


def test_the_best_is_of_those_that_ran_furthest() -> None:
    records = [record(0, 0.80), record(1, 0.85), record(2, 0.99, epochs=1, status="pruned")]
    assert best_record(records).trial == "00001"
    config = config_of(full={"training.epochs": 50})
    best = best_config(config, records)
    assert (best.objective.delta, best.training.epochs, best.output) == (0.1, 50, "/out/demo")


def test_another_best_is_another_run_and_so_is_its_fine_tuning() -> None:
    """With more trials the search may find a better one, after what was best has been pretrained and fine-tuned."""
    config = config_of(finetune={"afib": {"task": "afib"}})
    first = best_config(config, [record(0, 0.80)])
    again, better = (best_config(config, [record(0, 0.80), record(1, score)]) for score in (0.7, 0.9))
    assert first == again
    assert first.name.startswith("best-00000-")
    assert better.name.startswith("best-00001-")
    assert best_config(config_of(full={"training.epochs": 50}), [record(0, 0.80)]).name != first.name
    names = [finetune_config(config, "afib", f"/out/demo/{best.name}/encoder").name for best in (first, again, better)]
    assert names[0] == names[1] != names[2]
    assert all(name.startswith("finetune-afib-") for name in names)


def test_importance_finds_the_key_that_matters() -> None:
    config = config_of()
    records = [
        record(n, 0.6 + 0.1 * (n % 5), **{"objective.delta": 0.1 * (n % 5), "model.depth": 1 + n % 3})
        for n in range(20)
    ]
    found = importance(config, records)
    assert max(found, key=lambda key: found[key]) == "objective.delta"
    assert importance(config, records[:2]) == {}
    alike = [record(n, 0.6 + 0.1 * n, **{"objective.delta": 0.75}) for n in range(4)]
    assert importance(config, alike) == {}, "as in a population whose members all end at the same bound"


def test_the_table_has_a_row_a_trial() -> None:
    records = [record(0, 0.8), TrialRecord("00001", record(1, 0.5).parameters, "failed", "no, not so", [], 3.0, 2)]
    lines = table(config_of(), records).splitlines()
    assert lines[0].startswith("trial,status,probe_auroc,epochs,worker_seconds,starts,objective.delta")
    assert lines[1].startswith("00000,finished,0.800000,3,10.0,1,0.0,supcon,2,0.001,1:0.7800 2:0.7900 3:0.8000")
    assert lines[2].startswith("00001,failed,,0,3.0,2,")
    assert lines[2].endswith('"no, not so"')


def test_values_of_a_population_stay_in_the_space() -> None:
    space = config_of().space
    values = {"objective.delta": 0.9, "objective.form": "released", "model.depth": 3.6, "optimiser.learning_rate": 1e-5}
    assert within(space, values) == {
        "objective.delta": 0.75,
        "objective.form": "released",
        "model.depth": 3,
        "optimiser.learning_rate": 1e-4,
    }


@pytest.mark.parametrize(("raw", "used"), [(0.37, 0.4), (0.9, 0.6), (-1.0, 0.0), (0.6, 0.6)])
def test_values_of_a_population_stay_on_the_steps_of_a_range(raw: float, used: float) -> None:
    space = config_of(space={"objective.delta": {"low": 0.0, "high": 0.7, "step": 0.2}}).space
    assert within(space, {"objective.delta": raw}) == {"objective.delta": pytest.approx(used)}


def test_a_record_has_the_values_that_were_trained_with_whatever_was_drawn(tmp_path: Path) -> None:
    """Population based training draws beyond the range; what is trained, and comes back with each epoch, is inside."""
    config = config_of(trials=4)
    ledger = Ledger(str(tmp_path), [], 3, 1, lambda records: None)
    for number in range(4):
        drawn = record(number, 0.5).parameters | {"optimiser.learning_rate": 5.0}
        given = {"trial": f"{number:05d}", "values": drawn}
        trial = SimpleNamespace(trial_id=str(number), config={PROPOSAL: given})
        ledger.on_trial_start(0, [], trial)
        for epoch in (1, 2, 3):
            used = within(config.space, drawn)
            ledger.on_trial_result(0, [], trial, {"epoch": epoch, METRIC: 0.1 * number, VALUES: used})
        ledger.on_trial_complete(0, [], trial)
    records = read_records(str(tmp_path))
    assert [one.parameters["optimiser.learning_rate"] for one in records] == [1e-2] * 4
    assert importance(config, records).keys() == config.space.keys()
    assert best_config(config, records).optimiser.learning_rate == 1e-2


def test_a_failed_trial_that_begins_again_is_running_and_may_be_finished(tmp_path: Path) -> None:
    failed = TrialRecord("00000", record(0, 0.5).parameters, "failed", "no room")
    trial = SimpleNamespace(trial_id="a", config={PROPOSAL: {"trial": "00000", "values": failed.parameters}})
    ledger = Ledger(str(tmp_path), [failed], 1, 1, lambda records: None)
    ledger.on_trial_start(0, [], trial)
    assert (failed.status, failed.why) == ("running", "")
    ledger.on_trial_result(0, [], trial, {"epoch": 1, METRIC: 0.7, VALUES: failed.parameters})
    ledger.on_trial_complete(0, [], trial)
    (now,) = read_records(str(tmp_path))
    assert (now.status, now.why, now.score) == ("finished", "all 1 epochs done", 0.7)


def test_an_epoch_reported_again_is_there_once(tmp_path: Path) -> None:
    one = TrialRecord("00000", {})
    for epoch, score in ((1, 0.5), (2, 0.6), (1, 0.5), (2, 0.6), (3, 0.7)):
        one.add({"epoch": epoch, METRIC: score, "loss": 1.0, "other": 3})
    assert [row["epoch"] for row in one.curve] == [1, 2, 3]
    assert one.curve[0] == {"epoch": 1, METRIC: 0.5, "loss": 1.0}
    assert TrialRecord(**asdict(one)) == one


def test_a_log_has_a_line_for_each_trial_that_ends_now_and_none_for_those_before() -> None:
    said = io.StringIO()
    before, now = record(0, 0.8), record(1, 0.7)
    with SearchProgress(4, 3, [before.trial], Console(file=said, width=120)) as progress:
        progress.show([before])
        progress.show([before, now])
        progress.show([before, now])
    assert said.getvalue().count("Trial ") == 1
    assert "Trial 00001 finished: 0.700" in said.getvalue()
    assert "2 of 4 trials ended" in said.getvalue()


def test_a_trial_that_fails_another_time_is_said_another_time() -> None:
    said = io.StringIO()
    one = TrialRecord("00000", record(0, 0.5).parameters, "failed", "no room")
    with SearchProgress(1, 3, [one.trial], Console(file=said, width=120)) as progress:
        for status in ("running", "failed"):
            one.status = status
            progress.show([one])
    assert said.getvalue().count("Trial 00000 failed") == 1
