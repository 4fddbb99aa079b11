"""Both engines on demo recordings, in which beats are clear: they must agree away from the ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from physioclr.benchmarks import agreement
from physioclr.benchmarks.agreement import agreement_benchmark, compare_engines
from physioclr.benchmarks.agreement_report import MEASURES
from physioclr.benchmarks.config import AgreementBenchmark
from physioclr.benchmarks.recordings import read_recordings
from physioclr.errors import ConfigError, SourceError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder: demo recordings are made in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_engines_agree_on_clear_beats(
    here: Path, ray_here: None, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "RECORDINGS_IN_TASK", 5)
    config = AgreementBenchmark(recordings=8, leads=("pca",), out=str(here / "out"))
    figures = agreement_benchmark(config, console)
    json.dumps(figures, allow_nan=False)
    assert figures["recordings"] == 8
    lead = figures["leads"]["pca"]
    assert lead["halves"] == 16 == sum(lead["status"]["batched"].values()) == sum(lead["status"]["neurokit"].values())
    assert lead["beats_away_from_the_ends"]["f1"] > 0.95
    assert lead["beats"]["only_batched"] == sum(lead["only_batched"].values())
    assert lead["beats"]["only_neurokit"] == sum(lead["only_neurokit"].values())
    assert tuple(lead["measures"]) == tuple(MEASURES)
    assert lead["measures"]["RR"]["correlation"] > 0.9
    assert (here / "out" / "agreement-pca.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (here / "out" / "agreement-pca.svg").read_bytes()
    page = (here / "out" / "report.html").read_text()
    assert f"{lead['beats_away_from_the_ends']['f1']:.4f}" in page
    by_pair = {one["of"]: one for one in lead["detectors"]}
    assert len(by_pair) == 10, "every two of two engines and three detectors, once"
    assert by_pair["batched", "neurokit"]["f1"] == lead["beats"]["f1"]
    assert by_pair["batched", "neurokit"]["f1_away_from_the_ends"] == lead["beats_away_from_the_ends"]["f1"]
    assert min(one["f1_away_from_the_ends"] for one in lead["detectors"]) > 0.9
    assert "khamis2016" in page
    assert "data:image/svg+xml" in page


def test_a_half_is_compared_with_itself_and_with_no_other(here: Path, console: Console) -> None:
    signals = read_recordings(AgreementBenchmark(recordings=3), console).signals
    together = compare_engines(signals, "II", 20.0)
    assert together.values.shape == (2, 6, 4)
    for i in range(3):
        alone = compare_engines(signals[i : i + 1], "II", 20.0)
        np.testing.assert_array_equal(together.values[:, 2 * i : 2 * i + 2], alone.values)
        assert together.statuses[2 * i : 2 * i + 2] == alone.statuses
    rr, rate = together.values[..., 0], together.values[..., 1]
    np.testing.assert_allclose(rr * rate, 60_000.0)


def test_a_half_that_one_engine_cannot_measure_is_left_out(here: Path, console: Console) -> None:
    signals = read_recordings(AgreementBenchmark(recordings=1), console).signals.copy()
    signals[..., 2500:] = np.random.default_rng(0).integers(-900, 900, signals[..., 2500:].shape, dtype=np.int16)
    seen = compare_engines(signals, "II", 20.0)
    assert seen.statuses[0] == ("ok", "ok")
    assert seen.statuses[1][0] == "poor_quality"
    assert np.isnan(seen.values[:, 1]).all()
    assert len(seen.beats) == 1


def test_only_acceptable_recordings_are_taken(here: Path, console: Console) -> None:
    config = AgreementBenchmark(recordings=3, quality_csv=str(here / "quality.csv"))
    signals = read_recordings(config, console).signals
    (here / "quality.csv").write_text("record,quality\nD00001,unacceptable\nD00003,acceptable\n")
    np.testing.assert_array_equal(agreement._signals(config, console), signals[2:])
    (here / "quality.csv").write_text("record,quality\nX1,acceptable\n")
    with pytest.raises(SourceError, match=r"calls none of the recordings .* 'acceptable'"):
        agreement._signals(config, console)


def test_detectors_are_looked_at_only_when_asked_for(here: Path, console: Console) -> None:
    signals = read_recordings(AgreementBenchmark(recordings=2), console).signals
    without, beside = compare_engines(signals, "II", 20.0), compare_engines(signals, "II", 20.0, ("kalidas2017",))
    assert [list(of_half) for of_half in without.r_peaks] == [["batched", "neurokit"]] * 4
    assert [list(of_half) for of_half in beside.r_peaks] == [["batched", "neurokit", "kalidas2017"]] * 4
    assert beside.beats[0].all.f1 == without.beats[0].all.f1


def test_a_lead_that_does_not_exist_is_refused() -> None:
    from physioclr import configfile

    with pytest.raises(ConfigError, match="leads"):
        configfile.load(AgreementBenchmark, None, ["leads=[II, V9]"])
