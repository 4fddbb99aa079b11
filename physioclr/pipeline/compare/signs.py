"""How the encoders of a comparison went over their epochs: gathered from the `metrics.jsonl` of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from physioclr.evaluation.signs import SIGNS, Course, of_seed
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell
from physioclr.pipeline.training.metrics_log import read_metrics


def courses_of(answers: Sequence[AnswerCell]) -> list[Course]:
    """One for each method of `answers` whose encoders were pretrained, in the order of the table."""
    encoders: dict[str, dict[int, EncoderCell]] = {}
    for cell in answers:
        if cell.encoder is not None and not cell.encoder.untrained:
            encoders.setdefault(cell.method, {})[cell.encoder.config.training.seed] = cell.encoder
    return [
        Course(method, {seed: read_metrics(cell.uri) for seed, cell in by_seed.items()}, _weight(by_seed))
        for method, by_seed in encoders.items()
    ]


def _weight(by_seed: dict[int, EncoderCell]) -> float | None:
    """Alpha, of the method that has one."""
    config = next(iter(by_seed.values())).config
    return config.objective.global_weight if config.method.name == "physioclr" else None


def signs_csv(courses: Sequence[Course]) -> str:
    """A row a method, seed and epoch, a column a sign; empty where it was not measured."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("method", "seed", "epoch", *SIGNS))
    for course in courses:
        for seed, rows in course.seeds.items():
            found = {key: dict(of_seed(rows, key)) for key in SIGNS}
            for epoch in sorted(set().union(*found.values())):
                writer.writerow((course.method, seed, epoch, *(found[key].get(epoch, "") for key in SIGNS)))
    return out.getvalue()
