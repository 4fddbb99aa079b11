"""A small folder laid out as LUDB whose annotations are known: what `batched` finds in it, 10 ms later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from numpy.typing import NDArray
from rich.console import Console

from physioclr.benchmarks.annotated import read_annotated
from physioclr.benchmarks.config import DelineationBenchmark
from physioclr.benchmarks.delineation import BATCHED, delineation_benchmark
from physioclr.config import FeatureConfig, SourceConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.standardise import standardise
from physioclr.errors import SourceError
from physioclr.evaluation.waves import POINTS
from physioclr.features.batched.engine import BatchedEngine
from physioclr.features.delineation import Delineation
from physioclr.sources.demo.source import DemoSource

LATE = 5  # samples: 10 ms
ANNOTATED = ("II", "V2")
SYMBOLS = {"p": "p", "qrs": "N", "t": "t"}


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.int16]]:
    """Demo recordings int16 [12, 5000] in which P waves are found."""
    source = DemoSource(SourceConfig(uri=str(tmp_path_factory.mktemp("demo")), patients=6, recordings_per_patient=1))
    for patient in source.missing():
        source.write_patient(patient)
    made = [standardise(source.read(ref)).windows[0].signal for ref in source.list()]
    return [signal for signal in made if (~np.isnan(delineated(signal, "II").p_peak)).sum() > 5][:3]


def delineated(signal: NDArray[np.int16], lead: str) -> Delineation:
    segment = signal[None].astype(np.float32) / np.float32(1000)
    return BatchedEngine(FeatureConfig(lead=lead))(segment, 500).delineation


@pytest.fixture
def folder(tmp_path: Path, signals: list[NDArray[np.int16]]) -> Path:
    """Records 1 and 2 with P waves, 3 annotated without, 4 with a flat lead, 5 not annotated."""
    assert len(signals) == 3
    flat = signals[0].copy()
    flat[LEADS.index("aVL")] = 0
    for number, signal in enumerate([*signals, flat, signals[0]], start=1):
        write_record(tmp_path / "data", str(number), signal)
        if number < 5:
            for lead in ANNOTATED:
                write_annotations(tmp_path / "data", str(number), lead, delineated(signal, lead), with_p=number != 3)
    (tmp_path / "RECORDS").write_text("".join(f"data/{number}\n" for number in range(1, 6)))
    return tmp_path


def write_record(folder: Path, name: str, signal: NDArray[np.int16]) -> None:
    folder.mkdir(exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=500,
        units=["mV"] * 12,
        sig_name=[lead.lower() for lead in LEADS],
        d_signal=signal.T.astype(np.int64),
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(folder),
    )


def write_annotations(folder: Path, name: str, lead: str, found: Delineation, with_p: bool) -> None:
    """All waves of the third to the last but two beats, as LUDB leaves out the ends."""
    marks = []
    for beat in range(2, len(found.r_peaks) - 2):
        for wave, symbol in SYMBOLS.items():
            peak = found.r_peaks[beat] if wave == "qrs" else getattr(found, f"{wave}_peak")[beat]
            times = [getattr(found, f"{wave}_onset")[beat], peak, getattr(found, f"{wave}_offset")[beat]]
            if (wave != "p" or with_p) and not np.isnan(times).any():
                marks += [(int(time) + LATE, mark) for time, mark in zip(times, ("(", symbol, ")"), strict=True)]
    times, symbols = zip(*sorted(marks, key=lambda mark: mark[0]), strict=True)
    wfdb.wrann(name, "written", np.array(times), list(symbols), write_dir=str(folder))
    (folder / f"{name}.written").rename(folder / f"{name}.{lead.lower()}")  # wfdb writes no extension with a digit


def test_what_has_annotations_is_read(folder: Path, console: Console) -> None:
    read = read_annotated(str(folder), None, console)
    assert read.signals.shape == (3, 12, 5000)
    assert read.rejected == 1, "the flat lead"
    assert [(one.recording, LEADS[one.lead]) for one in read.leads] == [
        (i, lead) for i in range(3) for lead in ANNOTATED
    ]
    assert read.without_p() == {2}
    assert all(tuple(one.points) == POINTS for one in read.leads)


def test_figures_are_those_of_the_known_annotations(folder: Path, ray_here: None, console: Console) -> None:
    figures = delineation_benchmark(DelineationBenchmark(data=str(folder), methods=("prominence",), folds=2), console)
    assert figures["recordings"] == 3
    assert [figures[leads]["annotated_leads"] for leads in ("lead II", "all leads")] == [3, 6]
    for leads in ("lead II", "all leads"):
        scores = figures[leads]["scores"]["150 ms"]
        for point in POINTS:
            ours = scores[BATCHED][point]
            assert ours["sensitivity"] == 1.0, point
            assert ours["mean_error"] == pytest.approx(-10.0), point
            assert ours["deviation"] == pytest.approx(0.0, abs=1e-6), point
            assert scores["prominence"][point]["f1"] is not None
            assert figures[leads]["common"]["prominence"][point][BATCHED] == pytest.approx(0.0, abs=1e-6)
            assert figures[leads]["folds"][point]["deviation"] == [pytest.approx(0.0, abs=1e-6)] * 2
        for point in POINTS[3:]:
            assert scores[BATCHED][point]["f1"] == 1.0, "what was found outside the annotated span is not false"
        assert scores[BATCHED]["P peak"]["precision"] < 1.0, "no P is annotated in the third recording"
        assert figures[leads]["without_p"][BATCHED]["recordings"] == 1
        assert figures[leads]["without_p"][BATCHED]["recordings_mostly_with_p"] == 1
        assert figures[leads]["without_p"][BATCHED]["share_with_p"] > 0.5


def test_neurokit_is_asked_for_nothing_where_no_method_is_chosen(folder: Path, console: Console) -> None:
    figures = delineation_benchmark(DelineationBenchmark(data=str(folder), methods=(), tolerances_ms=(5.0,)), console)
    scores = figures["all leads"]["scores"]
    assert list(scores) == ["5 ms"]
    assert list(scores["5 ms"]) == [BATCHED]
    assert scores["5 ms"][BATCHED]["QRS peak"]["f1"] == 0.0, "10 ms are more than 5"


def test_a_folder_without_annotations_is_an_error_that_helps(folder: Path, console: Console) -> None:
    for file in (folder / "data").iterdir():
        if file.suffix not in (".hea", ".dat"):
            file.unlink()
    with pytest.raises(SourceError, match="annotated waves"):
        delineation_benchmark(DelineationBenchmark(data=str(folder), methods=()), console)
