from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from physioclr.report.html import Anchor, DatasetFacts, PretrainReport, Table, render_pretrain_report
from physioclr.report.neighbours import Neighbour

GENERATOR = np.random.default_rng(0)
SIGNAL = GENERATOR.normal(size=(12, 2500)).astype(np.float32)
FULL = PretrainReport(
    name="run <script>alert(1)</script>",
    config={"model": {"size": "<tiny>"}, "betas": (0.9, 0.98), "none": None},
    dataset=DatasetFacts(found=1200, kept=1197, rejected={"flat_lead": 1, "nan": 2}, note="two & a half sources"),
    summary=Table(("", "pretrained", "random"), (("AUROC", 0.83219, float("nan")), ("samples", 12345, None))),
    metrics=[{"kind": "epoch", "epoch": epoch, "loss": 3.0 - epoch} for epoch in range(2)],
    anchor=Anchor("ptb-xl/1<&$", 0, SIGNAL, np.array([[0, 50]]), np.array([1]), SIGNAL * 0.5),
    neighbours=[Neighbour("other$1", 1, SIGNAL, "positive", 0.5, None)],
    embeddings=GENERATOR.normal(size=(20, 4)).astype(np.float32),
    labels=["NORM", "<MI>"] * 10,
    map_method="pca",
)


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page() -> str:
    return render_pretrain_report(FULL)


def test_it_needs_nothing_else(page: str) -> None:
    parsed = _Tags(page)
    assert len(parsed.links) == 4
    assert all(link.startswith("data:image/svg+xml;base64,") for link in parsed.links)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert "url(" not in page
    assert "@import" not in page
    for link in parsed.links:
        svg = base64.b64decode(link.partition(",")[2]).decode()
        assert not re.search(r'href="(?!#)', svg)  # SVG references inside itself only


def test_what_users_wrote_is_escaped(page: str) -> None:
    assert "<script" not in page
    assert "<tiny>" not in page
    text = "".join(_Tags(page).text)
    assert "run <script>alert(1)</script>" in text
    assert "size: <tiny>" in text
    assert "two & a half sources" in text


def test_counts_reasons_and_figures_are_there(page: str) -> None:
    text = re.sub(r"\s+", " ", " ".join(_Tags(page).text))
    assert "1,200 found" in text
    assert "1,197 kept" in text
    assert "3 rejected" in text
    assert "nan 2 a lead has missing samples flat_lead 1 a lead is constant" in text
    assert "AUROC 0.8322 \u2013 samples 12,345 \u2013" in text


def test_the_configuration_is_folded_and_readable(page: str) -> None:
    details = page[page.index("<details>") :]
    assert "betas:\n- 0.9\n- 0.98" in details


def test_equal_content_gives_equal_bytes(page: str) -> None:
    assert render_pretrain_report(FULL) == page


def test_every_missing_part_says_why() -> None:
    text = " ".join(_Tags(render_pretrain_report(PretrainReport("bare", {}))).text)
    for sentence in (
        "No summary: the run has not ended.",
        "No counts: the prepared dataset was not at hand",
        "No curves: the run has no finished epoch with metrics.",
        "No recording is drawn",
        "No neighbours are drawn",
        "No map: no embeddings",
    ):
        assert sentence in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labels": None}, "No map: the recordings have no labels"),
        ({"embeddings": np.zeros((2, 4)), "map_method": "tsne", "labels": ["a", "b"]}, "are too few for a map"),
        ({"anchor": Anchor("a", 0, SIGNAL)}, "No reconstruction is drawn"),
        ({"anchor": Anchor("a", 0, SIGNAL, np.zeros((0, 2), np.int64))}, "delineation found none"),
    ],
)
def test_parts_of_sections_are_left_out_with_a_reason(change: dict[str, object], sentence: str) -> None:
    bare = PretrainReport("bare", {}, embeddings=FULL.embeddings, labels=FULL.labels, map_method="pca")
    assert sentence in render_pretrain_report(replace(bare, **change))  # type: ignore[arg-type]
