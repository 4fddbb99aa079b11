"""The pretraining report: one HTML file that needs nothing else, neither network nor JavaScript.

What a run does not have is left out with a sentence that says why. Of patients it shows record ids at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray

from physioclr.ecg.record import FS, REJECTION_REASONS
from physioclr.report import curves, ecg_paper, embedding_map, neighbours
from physioclr.report.figure import Picture, look, picture


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What preparation found: `found` = `kept` + the sum of `rejected`, which counts recordings by reason."""

    found: int
    kept: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    note: str = ""  # e.g. which sources, how many patients, the splits


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names. Floats are shown with 4 significant digits, NaN and None as a dash."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Anchor:
    """The segment the pictures are about: `signal` float [12, T] z-scored.

    `intervals` int [I, 2] are [onset, offset) samples, `interval_kinds` [I] 0 = P, 1 = QRS, 2 = T. `reconstruction`
    [12, T] is the decoder's. Each may be None.
    """

    record_id: str
    half: int
    signal: NDArray[np.float32]
    intervals: NDArray[np.int64] | None = None
    interval_kinds: NDArray[np.int64] | None = None
    reconstruction: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class PretrainReport:
    """Everything the report shows; only `name` and `config` must be there.

    `metrics` are the run's rows (those of kind "epoch" are drawn; `report.curves.PANELS` names the keys). `embeddings`
    [n, d] and `labels` [n], one word a segment, make the map.
    """

    name: str
    config: Mapping[str, Any]
    dataset: DatasetFacts | None = None
    summary: Table | None = None
    metrics: Sequence[Mapping[str, Any]] = ()
    anchor: Anchor | None = None
    neighbours: Sequence[neighbours.Neighbour] = ()
    embeddings: NDArray[np.float32] | None = None
    labels: Sequence[str] | None = None
    map_method: embedding_map.Method = "tsne"
    map_seed: int = 0


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading with a picture or, where there is none, the sentence that says why. `about` explains what is seen."""

    title: str
    about: str
    picture: Picture | None
    missing: str = ""


def render_pretrain_report(content: PretrainReport) -> str:
    """The report as one HTML document. Raises ValueError when arrays do not have the shapes named above."""
    with look():
        sections = [_curves(content), _recording(content), _neighbours(content), _map(content)]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    template = environment.from_string(files("physioclr.report").joinpath("template.html").read_text("utf-8"))
    return template.render(
        name=content.name,
        config=yaml.safe_dump(_plain_types(content.config), sort_keys=False, allow_unicode=True),
        dataset=content.dataset,
        reasons=_reasons(content.dataset),
        summary=content.summary,
        sections=sections,
    )


def _curves(content: PretrainReport) -> _Section:
    about = "One point an epoch, measured on fixed parts of the splits. Dashed: validation. Dotted: what chance gives."
    figure = curves.draw_curves(content.metrics)
    if figure is None:
        return _Section("Training", "", None, "No curves: the run has no finished epoch with metrics.")
    return _Section("Training", about, picture(figure, "Training curves over epochs, one small plot a quantity"))


def _recording(content: PretrainReport) -> _Section:
    title, anchor = "A segment and its reconstruction", content.anchor
    if anchor is None:
        return _Section(title, "", None, "No recording is drawn: none was kept for the report.")
    figure = ecg_paper.draw_ecg(
        anchor.signal,
        fs=FS,
        intervals=anchor.intervals,
        interval_kinds=anchor.interval_kinds,
        reconstruction=anchor.reconstruction,
        title=_anchor_name(anchor),
    )
    about = ["All 12 leads, each normalised over its 10 s recording."]
    if anchor.intervals is None or not len(anchor.intervals):
        about.append("No waves are shaded: delineation found none in this segment.")
    if anchor.reconstruction is None:
        about.append("No reconstruction is drawn: the run has no decoder output.")
    return _Section(title, " ".join(about), picture(figure, f"12-lead ECG of {_anchor_name(anchor)} on ECG paper"))


def _neighbours(content: PretrainReport) -> _Section:
    title = "What the anchor is pulled to and pushed from"
    if content.anchor is None or not content.neighbours:
        return _Section(title, "", None, "No neighbours are drawn: there is no anchor segment or no pairs were kept.")
    about = (
        "Its nearest positives and its most similar negatives. Similarity is the cosine of the embeddings, "
        "features the cosine of the reduced physiological features, which makes the pairs."
    )
    name = _anchor_name(content.anchor)
    figure = neighbours.draw_neighbours(content.anchor.signal, content.neighbours, anchor_name=name, fs=FS)
    return _Section(title, about, picture(figure, f"Anchor {name} above its positives and negatives"))


def _map(content: PretrainReport) -> _Section:
    title = "Map of embeddings"
    if content.embeddings is None:
        return _Section(title, "", None, "No map: no embeddings were kept for the report.")
    if content.labels is None:
        return _Section(title, "", None, "No map: the recordings have no labels to colour it by.")
    try:
        points, how = embedding_map.project(content.embeddings, content.map_method, content.map_seed)
    except ValueError as error:
        return _Section(title, "", None, f"No map: {error}.")
    figure = embedding_map.draw_map(points, content.labels)
    return _Section(title, how, picture(figure, "Embeddings in two dimensions, coloured by label"))


def _anchor_name(anchor: Anchor) -> str:
    return f"{anchor.record_id}, half {anchor.half + 1}"


def _reasons(dataset: DatasetFacts | None) -> list[tuple[str, int, str]]:
    """(reason, recordings, what it means), the most frequent first."""
    if dataset is None:
        return []
    ordered = sorted(dataset.rejected.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, count, REJECTION_REASONS.get(reason, "")) for reason, count in ordered]


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "\u2013"  # a dash, for what is not known
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain_types(value: Any) -> Any:
    """What YAML can write: tuples become lists, everything unknown its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain_types(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_types(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
