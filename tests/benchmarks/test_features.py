"""The benchmarks of features, from recordings to figures, on demo recordings."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from physioclr import configfile
from physioclr.benchmarks import recordings
from physioclr.benchmarks.config import FeaturesBenchmark, NoiseBenchmark, PairsBenchmark, RecordingsBenchmark
from physioclr.benchmarks.features import features_benchmark
from physioclr.benchmarks.noise import noise_benchmark
from physioclr.benchmarks.pairs import pairs_benchmark
from physioclr.benchmarks.profile import STAGES, stage_shares
from physioclr.benchmarks.recordings import measure_all, measure_once, read_recordings, source_of
from physioclr.config import FeatureConfig, SourceConfig
from physioclr.errors import ConfigError, SourceError
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline.run import with_absolute_uris
from physioclr.sources.demo.source import DemoSource, record_uri


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of 24 recordings of 12 demo patients."""
    folder = str(tmp_path_factory.mktemp("recordings"))
    source = DemoSource(SourceConfig(uri=folder, patients=12, recordings_per_patient=2))
    for patient in source.missing():
        source.write_patient(patient)
    return folder


def test_they_are_jobs() -> None:
    """With the keys that users give, relative paths made absolute as all processes see them."""
    benchmarks = runpy.run_path(str(Path(__file__).parents[2] / "jobs" / "benchmark.py"))["BENCHMARKS"]
    for name, model in (("features", FeaturesBenchmark), ("noise", NoiseBenchmark), ("pairs", PairsBenchmark)):
        assert benchmarks[name][0] is model
        config = with_absolute_uris(configfile.load(model, None, ["data=here", "kind=ptb-xl", "features.lead=II"]))
        assert config.data == str(Path.cwd() / "here")


def test_a_layout_is_known_by_its_index(data: str, tmp_path: Path) -> None:
    assert source_of(RecordingsBenchmark(data=data)).kind == "challenge-2021"
    assert source_of(RecordingsBenchmark(data=data, kind="wfdb")).kind == "wfdb"
    assert source_of(RecordingsBenchmark(data=str(tmp_path))).kind == "wfdb"
    (tmp_path / "ptbxl_database.csv").touch()
    assert source_of(RecordingsBenchmark(data=str(tmp_path), recordings=7)) == SourceConfig(
        kind="ptb-xl", uri=str(tmp_path), limit=7
    )
    assert source_of(RecordingsBenchmark()).kind == "demo"


def test_recordings_that_cannot_be_used_are_counted(data: str, tmp_path: Path, console: Console) -> None:
    source = DemoSource(SourceConfig(uri=str(tmp_path), patients=2, recordings_per_patient=2))
    for patient in source.missing():
        source.write_patient(patient)
    Path(record_uri(str(tmp_path), 1) + ".mat").unlink()
    recordings = read_recordings(RecordingsBenchmark(data=str(tmp_path)), console)
    assert recordings.signals.shape == (3, 12, 5000)
    assert recordings.signals.dtype == np.int16
    assert (len(recordings.refs), recordings.rejected) == (3, 1)
    assert all(ref.labels for ref in recordings.refs), "labels are read from the headers"
    for number in (0, 2, 3):
        Path(record_uri(str(tmp_path), number) + ".mat").unlink()
    with pytest.raises(SourceError, match="None of the 4 recordings"):
        read_recordings(RecordingsBenchmark(data=str(tmp_path)), console)


def test_measured_in_parts_is_the_same(data: str, monkeypatch: pytest.MonkeyPatch, console: Console) -> None:
    signals = read_recordings(RecordingsBenchmark(data=data, recordings=5), console).signals
    whole = FeatureExtractor()(signals)
    monkeypatch.setattr(recordings, "RECORDINGS_AT_ONCE", 2)
    found = measure_all(FeatureConfig(), signals)
    np.testing.assert_array_equal(found.features, [half.features for pair in whole for half in pair])
    np.testing.assert_array_equal(found.quality, [half.quality for pair in whole for half in pair])


def test_features_are_kept_for_the_same_signals_and_lead(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console
) -> None:
    signals = read_recordings(RecordingsBenchmark(data=data, recordings=3), console).signals
    first = measure_once(FeatureConfig(lead="II"), signals, str(tmp_path), console)
    made: list[str] = []

    def counted(config: FeatureConfig) -> FeatureExtractor:
        made.append(config.lead)
        return FeatureExtractor(config)

    monkeypatch.setattr(recordings, "FeatureExtractor", counted)
    again = measure_once(FeatureConfig(lead="II", components=7), signals, str(tmp_path), console)
    np.testing.assert_array_equal(again.features, first.features)
    assert made == []
    measure_once(FeatureConfig(lead="V5"), signals, str(tmp_path), console)
    measure_once(FeatureConfig(lead="II"), signals[:2], str(tmp_path), console)
    assert made == ["V5", "II"]


@pytest.fixture(scope="module")
def noise(data: str, tmp_path_factory: pytest.TempPathFactory, console: Console) -> dict[str, Any]:
    picture = tmp_path_factory.mktemp("noise") / "noise.png"
    config = NoiseBenchmark(
        data=data, quality=0.0, good=12, decibels=(120.0, 0.0), noises=("muscle", "mix"), picture=str(picture)
    )
    figures = noise_benchmark(config, console)
    assert picture.stat().st_size < 100_000
    return figures


def test_noise_is_judged_for_every_engine_and_level(noise: dict[str, Any]) -> None:
    json.dumps(noise, allow_nan=False)
    assert noise["recordings"] == 12
    assert [(row["noise"], row["decibels"], row["engine"]) for row in noise["rows"]] == [
        (kind, level, engine)
        for kind in ("muscle", "mix")
        for level in (120.0, 0.0)
        for engine in ("batched", "prominence")
    ]
    assert all(facts["pairs"] > 20 for facts in noise["engines"].values())


def test_without_noise_to_speak_of_nothing_moves(noise: dict[str, Any]) -> None:
    for row in noise["rows"]:
        if row["decibels"] == 120.0:
            assert row["usable"] == 1.0
            assert min(row["kept"], row["precision"], row["jaccard"]) > 0.98
            assert all(group["change"] < 0.01 for group in row["groups"].values())


def test_noise_as_strong_as_the_signal_moves_much(noise: dict[str, Any]) -> None:
    for row in noise["rows"]:
        if row["decibels"] == 0.0:
            assert row["jaccard"] < 0.9
            assert max(group["change"] for group in row["groups"].values()) > 0.1
            assert all(group["kept_if_only_this"] >= 0.5 for group in row["groups"].values())


def test_noise_needs_good_recordings(data: str, console: Console) -> None:
    with pytest.raises(SourceError, match="lower `quality`"):
        noise_benchmark(NoiseBenchmark(data=data, recordings=4, quality=1.0), console)


def test_pairs_are_judged_one_change_at_a_time(data: str, tmp_path: Path, console: Console) -> None:
    picture = tmp_path / "pairs.png"
    config = PairsBenchmark(
        data=data,
        features=FeatureConfig(components=10),
        leads=("II", "pca", "II+V5", "mean(II+V5)"),
        neurokit_leads=("II",),
        components=(5, None),
        deltas=(-1.0, 0.25),
        folds=2,
        scratch=str(tmp_path / "scratch"),
        picture=str(picture),
    )
    figures = pairs_benchmark(config, console)
    json.dumps(figures, allow_nan=False)
    assert (figures["recordings"], figures["patients"], picture.stat().st_size < 100_000) == (24, 24, True)
    names = {what: [row["name"] for row in rows] for what, rows in figures["tables"].items()}
    assert names == {
        "lead": ["II", "pca", "II+V5", "mean(II+V5)"],
        "lead with neurokit": ["II"],
        "missing values": list(config.rules),
        "components": ["5", "all"],
        "clip": ["3", "5", "10"],
        "rhythm": ["all"],
    }
    by_lead = {row["name"]: row for row in figures["tables"]["lead"]}
    assert by_lead["pca"] == {**figures["tables"]["missing values"][-1], "name": "pca"}, "the same setting"
    assert by_lead["pca"] == {**figures["tables"]["clip"][1], "name": "pca"}
    everything, some = figures["deltas"]
    assert everything["positive"] == everything["halves"] == 1.0
    assert everything["challenge-26"]["lift"] == pytest.approx(1.0)
    assert some["positive"] == by_lead["pca"]["positive"] < 1.0
    assert len(list((tmp_path / "scratch").iterdir())) == 4, "II, V5 and pca of one engine, II of the other"


def test_a_lead_that_is_none_is_refused_at_once(console: Console) -> None:
    with pytest.raises(ConfigError, match="'V7' in lead 'II\\+V7'"):
        pairs_benchmark(PairsBenchmark(data="/no/such/folder", leads=("II+V7",)), console)


def test_rates_memory_and_stages(data: str, console: Console) -> None:
    config = FeaturesBenchmark(
        data=data,
        methods=("prominence",),
        batch=2,
        rounds=2,
        passes=2,
        memory_batches=(1, 64),
        workers=1,
        profile=True,
    )
    figures = features_benchmark(config, console)
    json.dumps(figures, allow_nan=False)
    assert figures["rates"]["batched"]["halves_per_second"] > figures["rates"]["prominence"]["halves_per_second"] > 0
    assert len(figures["rates"]["prominence"]["of_each_round"]) == 2
    one, many = figures["memory"]["1"], figures["memory"]["64"]
    assert many["signals"] == pytest.approx(64 * 12 * 5000 * 2 / 1e6, abs=0.1)
    assert many["above_imports"] > one["above_imports"] + many["signals"]
    assert one["imports"] > 40
    assert "workers" not in figures
    assert sum(figures["profile"].values()) == pytest.approx(1.0, abs=0.01)


def test_every_stage_is_seen(data: str, console: Console) -> None:
    """A stage that the engine no longer calls by this name would stand as 0."""
    signals = read_recordings(RecordingsBenchmark(data=data, recordings=8), console).signals
    shares = stage_shares(FeatureExtractor(), signals)
    assert list(shares) == [*STAGES, "rest"]
    assert all(share > 0 for share in shares.values())
    assert shares["rest"] < 0.6


def test_two_actors_against_one(data: str, ray_here: None, console: Console) -> None:
    config = FeaturesBenchmark(
        data=data, methods=(), batch=1, rounds=1, passes=1, memory_batches=(), workers=2, worker_recordings=3
    )
    found = features_benchmark(config, console)["workers"]
    assert found["count"] == 2
    assert found["ratio"] > 0
    assert found["halves_per_second_of_one"] > 0
    too_many = config.model_copy(update={"workers": 10_000})
    assert "workers" not in features_benchmark(too_many, console)
