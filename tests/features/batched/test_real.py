"""The engine on published recordings: `PHYSIOCLR_DATA` names a folder with `ludb`, `cinc2011-set-a` and `ptb-xl-z`."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb
from sklearn.metrics import roc_auc_score

from physioclr.config import SourceConfig
from physioclr.ecg.leads import LEADS
from physioclr.evaluation.fiducials import NONE, Matches, match
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import Delineation
from physioclr.features.extract import FeatureExtractor
from physioclr.sources.registry import open_source

pytestmark = pytest.mark.real

KINDS = ("p", "N", "t")  # the symbols at the peaks of P, QRS and T
POINTS = (("p_onset", "p_peak", "p_offset"), ("qrs_onset", "r_peaks", "qrs_offset"), ("t_onset", "t_peak", "t_offset"))
FLOOR = (0.94, 0.995, 0.975)  # F1 of P, QRS and T
MS = 2.0  # a sample


def archive(name: str) -> Path:
    folder = Path(os.environ.get("PHYSIOCLR_DATA", "")) / name
    if "PHYSIOCLR_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"PHYSIOCLR_DATA does not name a folder with {name}")
    return folder


def read(path: Path) -> np.ndarray:
    """[12, T] in the order of `LEADS`."""
    record = wfdb.rdrecord(str(path))
    names = [name.lower() for name in record.sig_name]
    return record.p_signal.T[[names.index(lead.lower()) for lead in LEADS]].astype(np.float32)


def annotated(path: Path, lead: str) -> np.ndarray:
    """A cardiologist's waves in one lead: rows of kind (0 P, 1 QRS, 2 T), onset, peak, offset in samples, or NaN."""
    notes = wfdb.rdann(str(path), lead.lower())
    marks = ["", *notes.symbol, ""]
    places = [np.nan, *notes.sample, np.nan]
    return np.array(
        [
            (
                KINDS.index(mark),
                places[i - 1] if marks[i - 1] == "(" else np.nan,
                places[i],
                places[i + 1] if marks[i + 1] == ")" else np.nan,
            )
            for i, mark in enumerate(marks)
            if mark in KINDS
        ],
        dtype=np.float64,
    )


def compare(truth: np.ndarray, found: Delineation, tolerance: float) -> list[list[Matches]]:
    span = float(np.nanmin(truth[:, 1:]) * MS), float(np.nanmax(truth[:, 1:]) * MS)
    return [
        [
            match(truth[truth[:, 0] == kind, 1 + j] * MS, getattr(found, name).astype(np.float64) * MS, tolerance, span)
            for j, name in enumerate(names)
        ]
        for kind, names in enumerate(POINTS)
    ]


def test_waves_are_where_cardiologists_have_them(engine: Callable) -> None:
    """LUDB, all leads pooled, 150 ms: every onset, peak and offset, with the errors centred near zero."""
    headers = sorted((archive("ludb") / "data").glob("*.hea"))
    segments = np.stack([read(header.with_suffix("")) for header in headers])
    total = [[NONE] * 3 for _ in KINDS]
    for lead in LEADS:
        delineation = engine(segments, lead=lead).delineation
        for i, header in enumerate(headers):
            found = compare(annotated(header.with_suffix(""), lead), delineation.of(i), 150.0)
            total = [[a.merge(b) for a, b in zip(*rows, strict=True)] for rows in zip(total, found, strict=True)]
    for kind, floor in enumerate(FLOOR):
        for name, matches in zip(POINTS[kind], total[kind], strict=True):
            assert matches.f1 >= floor, (name, matches.f1)
            assert abs(matches.mean_error) < 10, name
            assert matches.deviation < 32, name


def test_quality_tells_what_experts_accept_from_what_they_do_not(engine: Callable) -> None:
    folder = archive("cinc2011-set-a")
    with (folder / "quality.csv").open(newline="") as file:
        words = {row["record"]: row["quality"] for row in csv.DictReader(file) if row["quality"] != "indeterminate"}
    assert len(words) > 900
    quality, usable = [], []
    for name in words:
        halves = np.stack(np.split(read(folder / name), 2, axis=1))
        seen = engine(halves, lead="pca")
        quality.append(seen.quality.min())
        usable.append("poor_quality" not in seen.delineation.status)
    acceptable = np.array([word == "acceptable" for word in words.values()])
    assert roc_auc_score(acceptable, quality) >= 0.92
    assert np.mean(np.array(usable)[acceptable]) > 0.98
    assert np.mean(np.array(usable)[~acceptable]) < 0.65


def test_p_waves_are_absent_in_fibrillation_and_present_in_sinus_rhythm() -> None:
    """The table of docs/features.md: AFIB, AFLT without it, and SR without either or a pacemaker."""
    source = open_source(SourceConfig(kind="ptb-xl", uri=str(archive("ptb-xl-z")), name="ptb-xl-z"))
    refs = source.list()
    fibrillating = [ref for ref in refs if "AFIB" in ref.statements]
    flutter = [ref for ref in refs if "AFLT" in ref.statements and "AFIB" not in ref.statements]
    sinus = [ref for ref in refs if "SR" in ref.statements and not {"AFIB", "AFLT", "PACE"} & set(ref.statements)]
    assert (len(fibrillating), len(flutter), len(sinus)) == (112, 8, 1561)
    column = [c.name for c in COLUMNS].index("p_absent")

    def mostly_with_p(refs: list) -> float:
        halves = FeatureExtractor()(np.stack([source.read(ref).signal for ref in refs]).astype(np.float32))
        absent = np.array([half.features[column] for pair in halves for half in pair])
        return float(np.mean(absent[~np.isnan(absent)] < 0.5))

    assert mostly_with_p(fibrillating) < 0.07
    assert mostly_with_p(flutter) < 0.5
    assert mostly_with_p(sinus) > 0.987


def test_p_waves_are_reported_in_one_recording_of_ludb_at_most_in_which_none_is_marked(engine: Callable) -> None:
    headers = sorted((archive("ludb") / "data").glob("*.hea"))
    without = [h for h in headers if not any((annotated(h.with_suffix(""), lead)[:, 0] == 0).any() for lead in LEADS)]
    assert len(without) == 12
    delineation = engine(np.stack([read(header.with_suffix("")) for header in without]), lead="II").delineation
    shares = [np.mean(~np.isnan(delineation.of(i).p_peak)) for i in range(len(without))]
    assert sum(share > 0.5 for share in shares) <= 1


def test_a_half_has_the_beats_that_the_whole_recording_has_up_to_its_end(engine: Callable) -> None:
    """Near the cut between the halves, where the whole recording has no end: R peaks within 20 ms are the same."""
    folder = archive("ptb-xl")
    reach, same = 188, 10  # samples
    there = missed = extra = 0
    for header in sorted(folder.rglob("*.hea"))[:300]:
        whole = read(header.with_suffix(""))[:, :5000]
        if whole.shape[1] < 5000:
            continue
        beats = engine(whole[None], 500, "pca").delineation
        halves = engine(np.stack([whole[:, :2500], whole[:, 2500:]]), 500, "pca").delineation
        if {*beats.status, *halves.status} - {"ok", "few_beats"}:
            continue
        known = beats.r_peaks[np.abs(beats.r_peaks - 2500) < reach]
        found = halves.r_peaks + 2500 * halves.segment
        found = found[np.abs(found - 2500) < reach]
        apart = np.abs(known[:, None] - found[None])
        there += len(known)
        missed += int((apart.min(axis=1, initial=5000) > same).sum())
        extra += int((apart.min(axis=0, initial=5000) > same).sum())
    assert there > 200
    assert missed <= 0.04 * there
    assert extra <= 0.04 * there
