"""The comparison: encoders, then answers, as many at once as the cluster holds, then one table of them all.

A cell (`cells.py`) that is done is not done again, in this comparison or another one beside it. A cell that
fails is named with its reason, the others go on, and the same command tries it again.

URI/summary.json, table.md, table.csv, report.html, config.yaml
    signs.csv   how encoders went over their epochs
    noise.csv   of a comparison under noise
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import ray
from rich.console import Console

from physioclr import configfile, storage
from physioclr.comparison import CompareConfig
from physioclr.config import NoiseConfig, TrainingConfig
from physioclr.downstream import EmbedConfig
from physioclr.errors import RunError
from physioclr.pipeline import cluster, run
from physioclr.pipeline.cli import user_message
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell, NoisyEmbeddings, NoisyTest, cells
from physioclr.pipeline.compare.noise import measure_under_noise
from physioclr.pipeline.compare.noisy import by_kind
from physioclr.pipeline.compare.result import write_result
from physioclr.pipeline.compare.work import answer, make_encoder
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune.labelled import read_labelled
from physioclr.pipeline.prepare.job import prepare
from physioclr.pipeline.progress import Meter
from physioclr.pipeline.training.placement import room


@dataclass(frozen=True)
class Failed:
    """A cell that could not be done, and why."""

    cell: str
    reason: str


def compare(config: CompareConfig, console: Console) -> dict[str, Any]:
    """Do what is missing of the comparison and write its table; returns its summary.

    Raises a `UserError` when configuration, data, storage or cluster do not allow it, and `RunError` when no cell
    could be done.
    """
    encoders, answers = cells(config)
    with run.alone(config, console, "comparison"):
        return _go_on(config, encoders, answers, console)


def _go_on(
    config: CompareConfig, encoders: Sequence[EncoderCell], answers: Sequence[AnswerCell], console: Console
) -> dict[str, Any]:
    """From wherever the comparison is to its table."""
    _check_claim(config)
    cluster.connect()
    training = config.pretrain.training
    workers = max(training.most, config.finetune.training.most)
    at_once, cpus = room(training, cluster.machines(), workers, config.parallel)
    used = [one for each in answers for one in each.datasets]
    used += [cell.config.dataset for cell in encoders if not cell.untrained]
    for dataset in {one.uri: one for one in used}.values():  # here: two encoders at once would both make it
        prepare(dataset, console)
    _check_labels(answers)
    console.print(f"{len(encoders)} encoders and {len(answers)} answers, {at_once} at once", highlight=False)
    failed = _all("Features under noise", _noise_tasks(answers), at_once, console)
    failed += _all(
        "Encoders",
        [(cell.config.name, _encoder_task(cell, answers, cpus)) for cell in encoders],
        at_once,
        console,
    )
    without = {one.cell for one in failed}
    possible = [cell for cell in answers if cell.encoder is None or cell.encoder.config.name not in without]
    together = [cell for cell in possible if cell.parts]
    for what, now in (("Answers", _first(possible)), ("Answers of several", together)):
        failed += _all(what, [(cell.config.name, _answer_task(cell, cpus)) for cell in now], at_once, console)
    done = [cell for cell in answers if run.summary_of(cell.uri) is not None]
    if not done:
        raise RunError(f"No cell of the comparison could be done; the first failed so: {failed[0].reason}")
    return write_result(config, _claim(config), done, [(one.cell, one.reason) for one in failed], console)


def _check_labels(answers: Sequence[AnswerCell]) -> None:
    """Raise `DatasetError` now, and not when all encoders are there, where a target has no labels of a task."""
    most = sorted(answers, key=lambda cell: -cell.config.label_fraction)
    asked = {(cell.config.prepared, cell.config.test, cell.config.task): cell for cell in reversed(most)}
    for cell in asked.values():
        read_labelled(cell.config, PreparedDataset.open(cell.config.prepared))


def _check_claim(config: CompareConfig) -> None:
    """Raise `RunError` when there is a table of another configuration under this name. Noise may be added later."""
    sections = ["pretrain", "finetune", *(f"targets.{name}" for name in config.targets)]
    machines = [f"{section}.{key}" for section in sections for key in run.MACHINE_KEYS]
    run.check_same("comparison", config, ["noise", "resamples", "parallel", "cost", *machines])


def _claim(config: CompareConfig) -> str:
    """The comparison's folder, its name taken for this configuration now that there is something to show."""
    _check_claim(config)
    uri = run.run_uri(config)
    storage.write_text(storage.join(uri, "config.yaml"), configfile.dump(config))
    return uri


def _first(answers: Sequence[AnswerCell]) -> list[AnswerCell]:
    """Those that need no other one, and those that others need, each once."""
    return list({cell.uri: cell for each in answers for cell in each.made_of}.values())


def _noise_tasks(answers: Sequence[AnswerCell]) -> list[tuple[str, Callable[[], None]]]:
    """A task for each kind of noise on each target's test recordings, where features of them are needed."""
    needed = [cell for each in answers for cell in each.made_of if cell.answer in ("logistic", "boosting")]
    tests = {cell.noise.uri: cell.noise for cell in needed if cell.noise is not None}
    measure = cluster.task(measure_under_noise)

    def task(rows: NoisyTest, levels: list[NoiseConfig]) -> Callable[[], None]:
        return lambda: ray.get(measure.remote(rows, levels))

    return [
        (f"noise-{levels[0].kind} on {rows.dataset.uri}", task(rows, levels))
        for rows in tests.values()
        for levels in by_kind(rows.levels)
    ]


def _encoder_task(cell: EncoderCell, answers: Sequence[AnswerCell], cpus: float) -> Callable[[], None]:
    """An encoder and its embeddings."""
    fitted = fitted_to(cell, answers)
    wanted = {one.uri: one for each in fitted for one in each.embeddings}
    noisy = {each.noisy_embeddings.uri: each.noisy_embeddings for each in fitted if each.noise is not None}
    placed = replace(cell, config=_with_cpus(cell.config, cpus))
    return lambda: ray.get(_remote(_make_encoder).remote(placed, [*wanted.values()], [*noisy.values()]))


def fitted_to(encoder: EncoderCell, answers: Sequence[AnswerCell]) -> list[AnswerCell]:
    """The answers, and parts of answers, that need the encoder's embeddings."""
    return [one for each in answers for one in each.made_of if one.encoder is encoder and not one.trained]


def _answer_task(cell: AnswerCell, cpus: float) -> Callable[[], None]:
    placed = replace(cell, config=_with_cpus(cell.config, cpus))
    return lambda: ray.get(_remote(_answer).remote(placed))


def _with_cpus(config: Any, cpus: float) -> Any:
    training: TrainingConfig = config.training.model_copy(update={"cpus_per_worker": cpus})
    return config.model_copy(update={"training": training})


def _remote(function: Callable[..., None]) -> Any:
    """A task that drives a cell; the cell's own tasks and workers take the CPUs. Begun again if its machine is lost."""
    where = cluster.for_drivers()
    return ray.remote(num_cpus=0, memory=cluster.DRIVER_BYTES, max_retries=3, label_selector=where)(function)


def _make_encoder(cell: EncoderCell, wanted: Sequence[EmbedConfig], noisy: Sequence[NoisyEmbeddings]) -> None:
    cluster.quiet()
    _logged(cell.uri, lambda console: make_encoder(cell, wanted, noisy, console))


def _answer(cell: AnswerCell) -> None:
    cluster.quiet()
    _logged(cell.uri, lambda console: answer(cell, console))


def _logged(uri: str, work: Callable[[Console], None]) -> None:
    """What the cell says goes to `log.txt` in its folder. Of one that is done, that it says how it was done."""
    said, done = io.StringIO(), run.summary_of(uri) is not None
    try:
        work(Console(file=said, width=120))
    finally:
        if not done:
            storage.write_text(storage.join(uri, "log.txt"), said.getvalue())


def _all(what: str, work: Sequence[tuple[str, Callable[[], None]]], at_once: int, console: Console) -> list[Failed]:
    """Do all of it, some at once; what failed."""
    failed: list[Failed] = []
    if not work:
        return failed
    with ThreadPoolExecutor(at_once) as pool, Meter(what, len(work), "cells", console) as meter:
        waiting = {pool.submit(do): name for name, do in work}
        for future in as_completed(waiting):
            error = future.exception()
            if error is not None:
                reason = user_message(error) or _last_line(error)
                failed.append(Failed(waiting[future], reason))
                console.print(f"{waiting[future]} failed: {reason}", highlight=False, markup=False)
            meter.advance(1, f"{len(failed)} failed" if failed else "")
    return failed


def _last_line(error: BaseException) -> str:
    lines = "".join(traceback.format_exception_only(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
