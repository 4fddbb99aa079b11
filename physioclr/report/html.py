"""The pretraining report: one HTML file that needs nothing else, neither network nor JavaScript.

What a run does not have is left out with a sentence that says why. Of patients it shows record ids at most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.record import FS, REJECTION_REASONS
from physioclr.report import curves, ecg_paper, embedding_map, neighbours
from physioclr.report.figure import look, picture
from physioclr.report.page import DatasetFacts, Recordings, Section, Table, render_page


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


def render_pretrain_report(content: PretrainReport) -> str:
    """The report as one HTML document. Raises ValueError when arrays do not have the shapes named above."""
    with look():
        sections = [_curves(content), _recording(content), _neighbours(content), _map(content)]
    return render_page(
        content.name,
        "PhysioCLR pretraining report",
        content.config,
        content.summary,
        sections,
        recordings=Recordings(content.dataset, _reasons(content.dataset)),
    )


def _curves(content: PretrainReport) -> Section:
    about = "One point an epoch, measured on fixed parts of the splits. Dashed: validation. Dotted: what chance gives."
    figure = curves.draw_curves(content.metrics)
    if figure is None:
        return Section("Training", "", None, "No curves: the run has no finished epoch with metrics.")
    return Section("Training", about, picture(figure, "Training curves over epochs, one small plot a quantity"))


def _recording(content: PretrainReport) -> Section:
    title, anchor = "A segment and its reconstruction", content.anchor
    if anchor is None:
        return Section(title, "", None, "No recording is drawn: none was kept for the report.")
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
    return Section(title, " ".join(about), picture(figure, f"12-lead ECG of {_anchor_name(anchor)} on ECG paper"))


def _neighbours(content: PretrainReport) -> Section:
    title = "What the anchor is pulled to and pushed from"
    if content.anchor is None or not content.neighbours:
        return Section(title, "", None, "No neighbours are drawn: there is no anchor segment or no pairs were kept.")
    about = (
        "Its nearest positives and its most similar negatives. Similarity is the cosine of the embeddings, "
        "features the cosine of the reduced physiological features, which makes the pairs."
    )
    name = _anchor_name(content.anchor)
    figure = neighbours.draw_neighbours(content.anchor.signal, content.neighbours, anchor_name=name, fs=FS)
    return Section(title, about, picture(figure, f"Anchor {name} above its positives and negatives"))


def _map(content: PretrainReport) -> Section:
    title = "Map of embeddings"
    if content.embeddings is None:
        return Section(title, "", None, "No map: no embeddings were kept for the report.")
    if content.labels is None:
        return Section(title, "", None, "No map: the recordings have no labels to colour it by.")
    try:
        points, how = embedding_map.project(content.embeddings, content.map_method, content.map_seed)
    except ValueError as error:
        return Section(title, "", None, f"No map: {error}.")
    figure = embedding_map.draw_map(points, content.labels)
    return Section(title, how, picture(figure, "Embeddings in two dimensions, coloured by label"))


def _anchor_name(anchor: Anchor) -> str:
    return f"{anchor.record_id}, half {anchor.half + 1}"


def _reasons(dataset: DatasetFacts | None) -> list[tuple[str, int, str]]:
    """(reason, recordings, what it means), the most frequent first."""
    if dataset is None:
        return []
    ordered = sorted(dataset.rejected.items(), key=lambda item: (-item[1], item[0]))
    return [(reason, count, REJECTION_REASONS.get(reason, "")) for reason, count in ordered]
