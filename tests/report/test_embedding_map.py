from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from physioclr.report.embedding_map import draw_map, project

CLOUDS = np.random.default_rng(0).normal(size=(60, 8)) + 30.0 * np.eye(8)[np.arange(60) % 2]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clouds_that_are_apart_stay_apart_and_the_seed_decides(method: str) -> None:
    points, how = project(CLOUDS, method, seed=1)  # type: ignore[arg-type]
    again, _ = project(CLOUDS, method, seed=1)  # type: ignore[arg-type]
    np.testing.assert_array_equal(points, again)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) % 2 == np.arange(60) % 2).all()
    assert how.lower().replace("-", "").startswith(method)


def test_pca_says_how_much_of_the_variance_is_seen() -> None:
    share = PCA(2).fit(CLOUDS).explained_variance_ratio_.sum()
    assert f"{share:.0%}" in project(CLOUDS, "pca")[1]


def test_tsne_names_the_perplexity_and_seed_it_used() -> None:
    assert "perplexity 3, seed 5" in project(CLOUDS[:10], "tsne", seed=5)[1]


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        project(CLOUDS[:3])


def test_embeddings_of_a_diverged_run_are_refused_with_its_cause() -> None:
    with pytest.raises(ValueError, match="diverged"):
        project(np.full((20, 4), np.nan))


def test_the_legend_counts_labels_and_rare_ones_are_other() -> None:
    labels = ["a"] * 20 + ["b"] * 15 + ["c"] * 10 + ["d"] * 6 + ["e"] * 4 + ["f"] * 3 + ["g"] * 1 + ["other"] * 1
    (axes,) = draw_map(CLOUDS[:, :2], labels).axes
    legend = axes.get_legend()
    assert legend is not None
    expected = ["other (2)", "a (20)", "b (15)", "c (10)", "d (6)", "e (4)", "f (3)"]
    assert [text.get_text() for text in legend.get_texts()] == expected


def test_each_point_needs_a_label() -> None:
    with pytest.raises(ValueError, match="1 labels for 60 points"):
        draw_map(CLOUDS[:, :2], ["a"])
