"""A search end to end on made-up recordings: killed and gone on with, pruned, in a population, and what follows."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from rich.console import Console

from physioclr import configfile
from physioclr.config import PretrainConfig
from physioclr.errors import RunError
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.search.job import search
from physioclr.pipeline.search.ledger import read_records
from physioclr.pipeline.training.metrics_log import read_metrics
from physioclr.search import METRIC, SearchConfig

pytestmark = pytest.mark.cluster  # minutes each, and each with a Ray of its own: pytest -m cluster tests/pipeline
ROOT = Path(__file__).parents[3]
MODEL = {"width": 16, "depth": 1, "heads": 2, "feedforward": 32, "conv_channels": 8}
MODEL |= {"position_groups": 4, "position_kernel": 16}


def values(dataset: PreparedDataset, output: Path, **given: Any) -> dict[str, Any]:
    """A search on the small demo dataset, two epochs a trial."""
    training = {"epochs": 2, "batch_size": 8, "device": "cpu", "mix_row_groups": 2, "log_every_steps": 1}
    pretrain = {"dataset": dataset.manifest.config, "model": MODEL, "training": training | given.pop("training", {})}
    return {"name": "small", "output": str(output), "pretrain": pretrain, **given}


def everything_is_free() -> bool:
    """Whether no trial holds CPUs or a placement group any more; waits a little for Ray to say so."""
    for _ in range(240):
        groups = [one for one in ray.util.placement_group_table().values() if one["state"] != "REMOVED"]
        if not groups and ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:
            return True
        time.sleep(0.5)
    return False


def kill_when(command: list[str], happened: Any, environment: dict[str, str]) -> None:
    """Start the command, wait until `happened()`, then kill all of its processes with -9."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(1500):
            if happened():
                break
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.2)
        else:
            pytest.fail("what was waited for did not happen")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_twice_it_goes_on_and_trains_nothing_twice(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    given = values(demo_dataset, tmp_path, trials=3, pruning={"by": "none"}, training={"epochs": 2}, parallel=1)
    file = tmp_path / "search.yaml"
    file.write_text(yaml.safe_dump(given))
    folder = tmp_path / "small"
    command = [sys.executable, "jobs/search.py", "--config", str(file)]
    environment = {**os.environ, "RAY_ADDRESS": "local"}

    def epochs() -> int:
        return sum(record.epoch for record in read_records(str(folder)))

    kill_when(command, lambda: epochs() >= 1, environment)
    kill_when(command, lambda: epochs() >= 3, environment)
    before = {record.trial: record for record in read_records(str(folder)) if record.ended}
    assert before, "the first trial had ended"
    summary = search(SearchConfig.model_validate(given), console)

    records = read_records(str(folder))
    assert [record.trial for record in records] == ["00000", "00001", "00002"]
    assert [record.status for record in records] == ["finished"] * 3
    assert len({json.dumps(record.parameters) for record in records}) == 3
    for record in records:
        if record.trial in before:
            assert record == before[record.trial], "what had ended is as it was"
        rows = [row for row in read_metrics(str(folder / "runs" / record.trial)) if row["kind"] == "epoch"]
        assert [row["epoch"] for row in rows] == [1, 2]
        assert [row[METRIC] for row in record.curve] == [row[METRIC] for row in rows]
    assert max(record.starts for record in records) >= 2, "a stopped trial was begun anew"
    assert summary["best"][METRIC] == max(record.score or 0 for record in records)
    assert everything_is_free()

    again = search(SearchConfig.model_validate(given), console)
    assert again["best"] == summary["best"]
    assert read_records(str(folder)) == records, "a finished search has nothing to do"
    with pytest.raises(RunError, match=r"another configuration \(seed differ\)"):
        search(SearchConfig.model_validate({**given, "seed": 5}), console)


@pytest.fixture(scope="module")
def somebody_else() -> Iterator[None]:
    """A Ray of another user on the same machine."""
    code = "import ray, sys; ray.init(address='local', num_cpus=1, include_dashboard=False); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", "it has started"
        yield
        process.communicate()


@pytest.fixture(scope="module")
def searched(
    demo_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory, console: Console, somebody_else: None
) -> tuple[dict[str, Any], SearchConfig]:
    """A search with pruning, an impossible value, and pretraining and a probe afterwards."""
    given = values(
        demo_dataset,
        tmp_path_factory.mktemp("searches"),
        trials=4,
        propose="grid",
        pruning={"reduction": 2.0},
        space={
            "objective.delta": {"choices": [-0.4, 0.25]},
            "model.heads": {"choices": [2, 3]},
        },
        then="finetune",
        full={"training.epochs": 1},
        finetune={"afib": {"prepared": demo_dataset.uri, "task": "afib", "mode": "probe", "resamples": 10}},
    )
    config = SearchConfig.model_validate(given)
    return search(config, console), config


def test_the_table_has_every_trial_and_says_why_it_ended(searched: tuple[dict[str, Any], SearchConfig]) -> None:
    summary, _ = searched
    rows = list(csv.DictReader(Path(summary["table"]).read_text().splitlines()))
    assert len(rows) == 4
    assert {(row["objective.delta"], row["model.heads"]) for row in rows} == {
        (delta, heads) for delta in ("-0.4", "0.25") for heads in "23"
    }
    for row in rows:
        if row["model.heads"] == "3":
            assert row["status"] == "failed"
            assert row["why"] == "model.width 16 cannot be shared by model.heads 3; make it a multiple"
        else:
            assert float(row["worker_seconds"]) > 0
            assert row["status"] in ("finished", "pruned")
            assert row["why"]
    assert summary["trials"]["failed"] == 2
    report = Path(summary["report"]).read_text()
    assert "Delta: how many positives, and how right" in report
    assert json.loads((Path(summary["uri"]) / "summary.json").read_text()) == summary
    assert everything_is_free()


def test_the_best_is_what_the_pretraining_that_followed_took(searched: tuple[dict[str, Any], SearchConfig]) -> None:
    summary, _ = searched
    best = configfile.load(PretrainConfig, summary["best_configuration"])
    assert best.objective.delta == summary["best"]["values"]["objective.delta"]
    assert best.model.heads == 2
    assert best.training.epochs == 1, "the full budget, not the search's"
    ran = configfile.load(PretrainConfig, str(Path(summary["then"]["pretrained"]) / "config.yaml"))
    assert ran == best
    assert (Path(summary["then"]["afib"]) / "predictions.parquet").exists()


def test_in_a_population_the_worst_goes_on_from_the_best(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    given = values(
        demo_dataset,
        tmp_path,
        trials=4,
        training={"epochs": 4},
        space={"optimiser.learning_rate": {"low": 1e-7, "high": 1e-2, "log": True}},
        pruning={"by": "population", "perturb_epochs": 1, "quantile": 0.5, "resample": 0.0},
    )
    search(SearchConfig.model_validate(given), console)
    records = read_records(str(tmp_path / "small"))
    assert [record.why for record in records] == ["all 4 epochs done"] * 4
    moved = [record for record in records if record.changes]
    assert moved, "someone was replaced"
    runs = [configfile.load(PretrainConfig, str(file)) for file in (tmp_path / "small" / "runs").glob("*/config.yaml")]
    began = [one for one in runs if one.start]
    assert began
    for one in began:
        assert one.start is not None
        donor = json.loads((Path(one.start).parents[1] / "metrics.jsonl").read_text().splitlines()[-1])
        own = read_metrics(str(Path(one.output) / one.name))
        first = next((row for row in own if row["kind"] == "epoch"), None)
        if first is not None:
            assert first["step"] > int(one.start.rsplit("-", 1)[1]), "steps count on"
        assert donor["step"] >= int(one.start.rsplit("-", 1)[1])
    rates = [record.parameters["optimiser.learning_rate"] for record in records]
    assert all(1e-7 <= rate <= 1e-2 for rate in rates)
    assert everything_is_free()


def test_a_trial_without_room_ends_with_a_sentence_and_is_done_when_there_is_room(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    @ray.remote(num_cpus=2)
    class Hog:
        def ready(self) -> bool:
            return True

    given = values(demo_dataset, tmp_path, trials=1, placement_timeout_s=8.0)
    hog = Hog.remote()
    assert ray.get(hog.ready.remote())  # everything is taken
    try:
        with pytest.raises(RunError, match=r"No place for 1 training workers of .* CPUs was found in \d+ s; lower"):
            search(SearchConfig.model_validate(given), console)
    finally:
        ray.kill(hog)
    assert everything_is_free()
    given["placement_timeout_s"] = 900.0
    assert search(SearchConfig.model_validate(given), console)["trials"] == {"finished": 1}
    (record,) = read_records(str(tmp_path / "small"))
    assert (record.trial, record.starts) == ("00000", 2)
