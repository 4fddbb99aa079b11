"""The tables of a comparison under noise: for each target, column and kind of noise, the methods over the levels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from physioclr.comparison import CompareConfig
from physioclr.pipeline.compare.cells import AnswerCell
from physioclr.pipeline.compare.judge import judge, prediction_file, read_predicted
from physioclr.pipeline.compare.noise import is_done
from physioclr.report.noise import CLEAN, NoiseTable, level_column
from physioclr.report.target import TargetTable


def noise_tables(config: CompareConfig, done: Sequence[AnswerCell]) -> list[NoiseTable]:
    """None where `config.noise` is not set. Answers without all of their levels are left out, and named as failed."""
    if config.noise is None:
        return []
    whole = [cell for cell in done if is_done(cell)]
    tables = []
    for target, column in dict.fromkeys((cell.target, cell.column) for cell in whole):
        own = [cell for cell in whole if (cell.target, cell.column) == (target, column)]
        clean = [((cell.row, CLEAN), cell.seed, read_predicted(prediction_file(cell))) for cell in own]
        for kind in config.noise.kinds:
            levels = [level for level in config.noise.levels if level.kind == kind]
            scored = [
                ((cell.row, level_column(level.db)), cell.seed, read_predicted(cell.under_noise(level)))
                for level in levels
                for cell in own
            ]
            wanted = [CLEAN, *(level_column(level.db) for level in levels)]
            columns, found = judge([*clean, *scored], wanted, config.reference, config.resamples)
            rows = list(dict.fromkeys(cell.row for cell in own))
            tables.append(NoiseTable(target, column, kind, TargetTable(target, rows, columns, found, {})))
    return tables


def noise_csv(tables: Sequence[NoiseTable]) -> str:
    """A row a target, column, kind, level, method and metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    facts = ("target", "column", "noise", "level", "method", "metric")
    writer.writerow((*facts, "estimate", "low", "high", "difference", "low", "high", "by seed"))
    for each in tables:
        for level in each.table.columns:
            for method in each.table.methods:
                cell = each.table.cells[method, level]
                for metric, figure in cell.figures.items():
                    gap = cell.difference.get(metric)
                    writer.writerow(
                        (
                            *(each.target, each.column, each.kind, level, method, metric),
                            *(figure.estimate, figure.low, figure.high),
                            *((gap.estimate, gap.low, gap.high) if gap else ("", "", "")),
                            " ".join(f"{value:.4f}" for value in cell.by_seed.get(metric, ())),
                        )
                    )
    return out.getvalue()
