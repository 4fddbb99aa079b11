"""A map of embeddings in two dimensions, coloured by label: PCA, or t-SNE with a fixed seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from physioclr.report.figure import BLUE, GREEN, MUTED, ORANGE, PURPLE, SKY, VERMILLION, new_figure, plain

Method = Literal["pca", "tsne"]
COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
MARKERS = ("o", "^", "s", "D", "v", "P")  # a second sign, for print in grey
OTHER = "other"
PERPLEXITY = 30.0


def project(embeddings: ArrayLike, method: Method = "tsne", seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """float64 [n, 2] for `embeddings` [n, d], and a sentence that says how it was made.

    t-SNE (van der Maaten & Hinton 2008) runs on the first 50 principal components and needs more than 3 points; its
    perplexity is 30, less for few points. Raises ValueError for fewer points than a map needs, or any not finite.
    """
    values = np.asarray(embeddings, dtype=np.float64)
    fewest = 4 if method == "tsne" else 2
    if values.ndim != 2 or len(values) < fewest or values.shape[1] < 2:
        raise ValueError(f"embeddings {values.shape} are too few for a map; {fewest} points of 2 dimensions are needed")
    if not np.isfinite(values).all():
        raise ValueError("the embeddings are not all finite, so training has diverged; lower optimiser.learning_rate")
    if method == "pca":
        pca = PCA(n_components=2, random_state=seed)
        points = pca.fit_transform(values)
        return points, f"PCA: the two axes hold {pca.explained_variance_ratio_.sum():.0%} of the variance."
    reduced = PCA(n_components=min(50, *values.shape), random_state=seed).fit_transform(values)
    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    with threadpool_limits(1):  # its threads spin: beside any other load several are many times slower than one
        points = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return (
        points,
        f"t-SNE, perplexity {perplexity:g}, seed {seed}: neighbours mean something, distances and sizes do not.",
    )


def draw_map(points: NDArray[np.float64], labels: Sequence[str]) -> Figure:
    """`points` [n, 2] coloured by one label each; the six most frequent have a colour, the rest are "other"."""
    if len(points) != len(labels):
        raise ValueError(f"{len(labels)} labels for {len(points)} points; give one each")
    counts = Counter(label for label in sorted(labels) if label != OTHER)
    frequent = [label for label, _ in counts.most_common(len(COLOURS))]
    groups = np.array([label if label in frequent else OTHER for label in labels], dtype=object)
    figure = new_figure(8.2, 5.6)
    axes = figure.add_axes((0.01, 0.01, 0.76, 0.98))
    if (groups == OTHER).any():
        _scatter(axes, points[groups == OTHER], OTHER, MUTED, "o", alpha=0.35)
    for label, colour, marker in zip(frequent, COLOURS, MARKERS, strict=False):
        _scatter(axes, points[groups == label], label, colour, marker, alpha=0.7)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    axes.legend(
        loc="center left", bbox_to_anchor=(1.01, 0.5), title="label (segments)", alignment="left", markerscale=1.8
    )
    return figure


def _scatter(axes: Axes, points: NDArray[np.float64], label: str, colour: str, marker: str, alpha: float) -> None:
    name = f"{plain(label)} ({len(points)})"
    axes.scatter(points[:, 0], points[:, 1], s=11, c=colour, marker=marker, alpha=alpha, linewidths=0, label=name)
