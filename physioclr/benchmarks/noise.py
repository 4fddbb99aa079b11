"""What noise does to features and to pairs: each engine against what it says of the same recordings without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from physioclr import storage
from physioclr.benchmarks.config import NoiseBenchmark
from physioclr.benchmarks.recordings import Measured, Recordings, measure_all, name_of, number, read_recordings
from physioclr.config import FeatureConfig
from physioclr.ecg.record import INT16_PER_UNIT
from physioclr.errors import SourceError
from physioclr.evaluation.noise import add_noise, make_noise
from physioclr.evaluation.pair_noise import column_groups, kept_pairs, pair_matrix, shift, with_group
from physioclr.features.reducer import Reducer
from physioclr.pipeline.progress import Meter
from physioclr.report.benchmarks import draw_noise, png

Floats = NDArray[np.float64]
Row = dict[str, Any]
GROUP_TABLES = {
    "change": "median absolute change of each group, in training standard deviations",
    "kept_if_only_this": "pairs of usable halves kept if noise moves only this group",
}


def noise_benchmark(config: NoiseBenchmark, console: Console) -> dict[str, Any]:
    """Print the tables and return their figures. Raises `SourceError` where too few recordings are good."""
    recordings = read_recordings(config, console)
    signals = _good(config, recordings, console)
    settings = [config.features.model_copy(update={"engine": engine}) for engine in config.engines]
    clean = {name_of(each): _Clean(each, measure_all(each, signals), config.delta) for each in settings}
    rows: list[Row] = []
    conditions = len(config.noises) * len(config.decibels)
    with Meter("Adding noise", conditions, "levels", console) as meter:
        for kind in config.noises:
            noise = _noise(config, kind, signals.shape)
            for decibels in config.decibels:
                noisy = add_noise(signals, noise, decibels).astype(np.float32)
                rows += [
                    {"noise": kind, "decibels": decibels, "engine": name, **each.against(noisy)}
                    for name, each in clean.items()
                ]
                meter.advance(1)
    engines = {name: each.facts() for name, each in clean.items()}
    console.print(_pairs_table(rows, list(clean), len(signals), config.delta))
    for kind in config.noises:
        own = sorted((row for row in rows if row["noise"] == kind), key=lambda row: list(clean).index(row["engine"]))
        for key, title in GROUP_TABLES.items():
            console.print(_groups_table(own, key, f"{kind}: {title}"))
    if config.picture is not None:
        storage.write_bytes(config.picture, png(draw_noise(rows)))
    return {"recordings": len(signals), "quality": config.quality, "engines": engines, "rows": rows}


def _good(config: NoiseBenchmark, recordings: Recordings, console: Console) -> Floats:
    """Recordings in the unit, float64 [n, 12, 5000], of which the engine `batched` calls both halves good."""
    batched = FeatureConfig(engine="batched", lead=config.features.lead)
    quality = measure_all(batched, recordings.signals, console).quality.reshape(-1, 2).min(axis=1)
    good = np.flatnonzero(quality >= config.quality)
    console.print(
        f"{len(good)} of {len(quality)} recordings have a quality of {config.quality:g} or more in both halves; "
        f"{min(len(good), config.good)} are taken.",
        highlight=False,
    )
    if len(good) < 2:
        raise SourceError(f"{len(good)} recordings have a quality of {config.quality:g} or more; lower `quality`.")
    chosen = np.random.default_rng(config.seed).permutation(good)[: config.good]
    return recordings.signals[np.sort(chosen)] / float(INT16_PER_UNIT)


def _noise(config: NoiseBenchmark, kind: str, shape: tuple[int, ...]) -> Floats:
    """Noise of power 1, float64 [n, 12, 5000]: the same at every level and for every engine."""
    number = ("wander", "muscle", "mains", "mix").index(kind)
    generators = (np.random.default_rng([config.seed, number, i]) for i in range(shape[0]))
    return np.stack([make_noise(kind, generator, shape[1:]) for generator in generators])


class _Clean:
    """An engine's features and pairs of the recordings as they are, and how much of them noise leaves."""

    def __init__(self, settings: FeatureConfig, clean: Measured, delta: float) -> None:
        self._settings, self._clean, self._delta = settings, clean, delta
        self._reducer = Reducer.fit(clean.features[clean.usable], settings.components, settings.clip, settings.marked)
        self._recording = np.arange(len(clean.usable)) // 2
        self._pairs = self._pairs_of(clean.features, clean.usable)

    def _pairs_of(self, features: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return pair_matrix(self._reducer, features, usable, self._recording, self._delta)

    def facts(self) -> Row:
        """What there is to lose."""
        pairs = kept_pairs(self._pairs, self._pairs).before
        halves = len(self._recording)
        return {
            "usable": round(float(self._clean.usable.mean()), 4),
            "pairs": pairs,
            "share_of_all_pairs": round(pairs / (halves * (halves - 2) / 2), 4),
        }

    def against(self, noisy_signals: NDArray[np.float32]) -> Row:
        """Figures of one kind and level of noise."""
        clean, noisy = self._clean, measure_all(self._settings, noisy_signals)
        usable = clean.usable & noisy.usable
        kept = kept_pairs(self._pairs, self._pairs_of(noisy.features, noisy.usable))
        among_usable = kept_pairs(self._pairs & usable[:, None] & usable[None, :], self._pairs)
        groups = {}
        for name, columns in column_groups().items():
            moved = shift(
                clean.features[usable][:, columns], noisy.features[usable][:, columns], self._reducer.scale[columns]
            )
            alone = self._pairs_of(with_group(clean.features, noisy.features, columns), usable)
            groups[name] = {
                "change": number(moved.change),
                "lost": number(moved.lost),
                "kept_if_only_this": _share(kept_pairs(self._pairs, alone).both, among_usable.before),
            }
        return {
            "usable": _share(int(usable.sum()), int(clean.usable.sum())),
            "kept": number(kept.sensitivity),
            "kept_of_usable": _share(kept.both, among_usable.before),
            "precision": number(kept.precision),
            "jaccard": number(kept.jaccard),
            "groups": groups,
        }


def _share(part: int, whole: int) -> float | None:
    return number(part / whole) if whole else None


def _pairs_table(rows: list[Row], engines: list[str], recordings: int, delta: float) -> Table:
    title = f"Pairs (cosine >= {delta:g}) of {recordings} good recordings that noise leaves, by engine"
    table = Table(title=title, title_justify="left")
    keys = ("usable", "kept", "precision", "jaccard")
    for column in ("noise", "dB", *(f"{engine}: {key}" for engine in engines for key in keys)):
        table.add_column(column)
    for kind, decibels in dict.fromkeys((row["noise"], row["decibels"]) for row in rows):
        found = {row["engine"]: row for row in rows if (row["noise"], row["decibels"]) == (kind, decibels)}
        cells = [_cell(found[engine][key]) for engine in engines for key in keys]
        table.add_row(kind, f"{decibels:g}", *cells)
    return table


def _groups_table(rows: list[Row], key: str, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("group")
    for row in rows:
        table.add_column(f"{row['engine']} {row['decibels']:g} dB")
    for name in rows[0]["groups"] if rows else ():
        table.add_row(name, *(_cell(row["groups"][name][key]) for row in rows))
    return table


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
