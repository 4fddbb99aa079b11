"""The 150 physiological features of a 5 s segment (arXiv 2509.08116): names, units and definitions in one table.

Missing is NaN, never zero. "unit" is that of the signal which was measured: mV or NU (normalised) of a lead, standard
deviations of the principal component. "baseline" is the median of the 80 ms before QRS onset.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_BEATS = 10


@dataclass(frozen=True, slots=True)
class Column:
    """One feature. `group` is `beat`, `statistic` or `segment`."""

    name: str
    unit: str
    definition: str
    group: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Something measured on every beat."""

    name: str
    unit: str
    definition: str


MEASURES: tuple[Measure, ...] = (
    Measure("rr", "ms", "from this R peak to the next one (the last beat has none)"),
    Measure("pr", "ms", "P onset to QRS onset"),
    Measure("qrs", "ms", "QRS onset to QRS offset"),
    Measure(
        "qtc",
        "ms",
        "QRS onset to T offset, over the square root of the RR before it in seconds (Bazett 1920); the first beat "
        "takes the median RR of the segment",
    ),
    Measure("p_duration", "ms", "P onset to P offset"),
    Measure("t_duration", "ms", "T onset to T offset"),
    Measure("r_amplitude", "unit", "value at the R peak, against the baseline"),
    Measure("t_amplitude", "unit", "value at the T peak, against the baseline; negative for an inverted T"),
    Measure("p_amplitude", "unit", "value at the P peak, against the baseline"),
    Measure("qrs_slope", "unit/s", "largest absolute slope from QRS onset to QRS offset, both included"),
)

STATISTICS: tuple[tuple[str, str], ...] = (
    ("mean", "mean"),
    ("sd", "standard deviation (n - 1; two beats at least)"),
    ("median", "median"),
    ("iqr", "inter-quartile range (linear quantiles; two beats at least)"),
)

SEGMENT_COLUMNS: tuple[Column, ...] = (
    Column("rmssd", "ms", "root mean square of differences between successive RR", "segment"),
    Column("pnn50", "share", "successive RR that differ by more than 50 ms", "segment"),
    Column("rr_cv", "share", "standard deviation of RR over its mean", "segment"),
    Column("premature", "share", "RR shorter than 0.8 of the median RR", "segment"),
    Column(
        "p_absent",
        "share",
        "beats without a P wave, of those with a QRS onset 300 ms or more after the start of the segment",
        "segment",
    ),
    Column("t_inverted", "share", "beats with a negative T amplitude, of those with a T amplitude", "segment"),
    Column(
        "st_level", "unit", "median over beats of the value 60 ms after QRS offset, against the baseline", "segment"
    ),
    Column("st_spread", "unit", "median absolute deviation of the same (two beats at least)", "segment"),
    Column(
        "correlation_mean",
        "r",
        "mean Pearson correlation of each beat with the next, from 200 ms before to 300 ms after R; beats cut by the "
        "segment's ends are left out",
        "segment",
    ),
    Column("correlation_minimum", "r", "minimum of the same", "segment"),
)


def _all_columns() -> tuple[Column, ...]:
    beats = [
        Column(f"{m.name}_{beat:02d}", m.unit, f"beat {beat}: {m.definition}", "beat")
        for m in MEASURES
        for beat in range(1, FIRST_BEATS + 1)
    ]
    statistics = [
        Column(f"{m.name}_{name}", m.unit, f"{words} of `{m.name}` over all beats that have it", "statistic")
        for m in MEASURES
        for name, words in STATISTICS
    ]
    return (*beats, *statistics, *SEGMENT_COLUMNS)


COLUMNS: tuple[Column, ...] = _all_columns()


# The columns whose absence says something of the whole segment: no beat has that measure. Of a single beat it says
# how many beats there are, which the RR columns tell better.
STATISTIC_COLUMNS: tuple[int, ...] = tuple(i for i, column in enumerate(COLUMNS) if column.group == "statistic")


def markdown_table() -> str:
    """The table in docs/features.md: one row a run of columns that differ in the beat or the statistic only."""
    rows = ["| columns | name | unit | definition |", "| --- | --- | --- | --- |"]
    for i, m in enumerate(MEASURES):
        first = i * FIRST_BEATS
        name = f"`{m.name}_01` .. `{m.name}_{FIRST_BEATS}`"
        words = f"each of the first {FIRST_BEATS} beats: {m.definition}"
        rows.append(f"| {first}-{first + FIRST_BEATS - 1} | {name} | {m.unit} | {words} |")
    first = len(MEASURES) * FIRST_BEATS
    for i, m in enumerate(MEASURES):
        start = first + i * len(STATISTICS)
        names = ", ".join(f"`{m.name}_{name}`" for name, _ in STATISTICS)
        rows.append(f"| {start}-{start + len(STATISTICS) - 1} | {names} | {m.unit} | {_statistics_of(m)} |")
    first = len(COLUMNS) - len(SEGMENT_COLUMNS)
    for i, column in enumerate(SEGMENT_COLUMNS):
        rows.append(f"| {first + i} | `{column.name}` | {column.unit} | {column.definition} |")
    return "\n".join(rows) + "\n"


def _statistics_of(measure: Measure) -> str:
    words = ", ".join(text for _, text in STATISTICS[:-1])
    return f"`{measure.name}` over all beats that have it: {words}, {STATISTICS[-1][1]}"
