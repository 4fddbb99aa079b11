"""Prepare on Ray Data: list -> read -> check -> standardise -> features -> shards -> scaler + PCA -> manifest.

Every step writes files and leaves alone what is already written, so that a job stopped anywhere goes on where it was
and ends with the same bytes. Work in progress lives under `URI/work`, which goes when the manifest is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from rich.console import Console

from physioclr import configfile, storage
from physioclr.config import PrepareConfig
from physioclr.ecg.record import RecordingRef
from physioclr.errors import DatasetError, RunError, SourceError, StorageError
from physioclr.features.reducer import Reducer
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import (
    FORMAT,
    REJECTED_SCHEMA,
    Manifest,
    PreparedDataset,
    ShardEntry,
    write_table,
)
from physioclr.pipeline.lease import held
from physioclr.pipeline.prepare import finish
from physioclr.pipeline.prepare.extract import ExtractUnit, ReadUnit
from physioclr.pipeline.prepare.layout import SPLITS, Unit, lay_out, plan_table, units_of
from physioclr.pipeline.progress import Meter
from physioclr.sources.demo import DemoSource
from physioclr.sources.pseudonyms import VARIABLE, key_at_hand, needed_key
from physioclr.sources.registry import open_source

# What may differ between a dataset and the configuration that uses it, because no row depends on it.
MACHINE_KEYS = ("uri", "workers", "unit_recordings")
# A reader beside each extraction actor, both on one CPU: reading takes about as long as measuring (docs/benchmarks.md).
READ_CPUS, EXTRACT_CPUS = 0.1, 0.9


def prepare(config: PrepareConfig, console: Console) -> PreparedDataset:
    """Make the prepared dataset that `config` describes, or go on with it, or open it when it is complete.

    Raises `DatasetError` when the URI holds a dataset made with another configuration, `SourceError` and
    `StorageError` for sources that cannot be listed or read.
    """
    uri = config.uri
    if not config.sources:
        return PreparedDataset.open(uri)  # as it is; says what is missing
    alone = held(uri, f"The dataset {uri}", console, "uri")
    if storage.exists(storage.join(uri, "manifest.json")):
        dataset = _complete(config)
        remove_work(uri, console, alone)  # left where a job was killed after its manifest
        return dataset
    with alone:
        return _make(config, console)


def _complete(config: PrepareConfig) -> PreparedDataset:
    """The dataset that is there. Raises `DatasetError` when it was made with another configuration or key."""
    dataset = PreparedDataset.open(config.uri)
    _same_configuration(config.uri, dataset.manifest.config, config)
    _same_key(config.uri, dataset.manifest.patient_key, config)
    return dataset


def remove_work(uri: str, console: Console, alone: AbstractContextManager[None] | None = None) -> None:
    """Delete `uri/work`, which a complete job needs no longer, within `alone`. A failure is told and fails nothing."""
    work = storage.join(uri, "work")
    try:
        if storage.exists(work):
            with alone or nullcontext():
                storage.remove(work)
    except RunError:
        return  # another process works there, which will delete it
    except StorageError as error:
        console.print(
            f"All is complete, but {work} is left, with signals or ids of patients in it; delete it ({error})",
            highlight=False,
        )


def _make(config: PrepareConfig, console: Console) -> PreparedDataset:
    """From wherever the dataset is to its manifest."""
    uri = config.uri
    if storage.exists(storage.join(uri, "manifest.json")):  # made by another process, which was waited for
        remove_work(uri, console)
        return _complete(config)
    if not storage.exists(_index_uri(config)):
        _key_of(config)  # one that is missing is said at once, before Ray is started
    cluster.connect()
    plan = plan_recordings(config, console)
    patient_key = json.loads(storage.read_text(_index_uri(config))).get("patient_key")
    extract(config, plan, console)
    shards, rejected = _assemble(config, plan, console)
    reducer = _fit_reducer(config, shards, console)
    storage.write_text(storage.join(uri, "reducer.json"), reducer.to_json())
    write_table(rejected, storage.join(uri, "rejected.parquet"), row_group_rows=65_536)
    manifest = _manifest(config, patient_key, sum(plan.values()), shards, rejected)
    storage.write_text(storage.join(uri, "manifest.json"), manifest.model_dump_json(indent=1))
    remove_work(uri, console)
    return PreparedDataset(uri, manifest)


def _same_configuration(uri: str, made_with: dict[str, Any], config: PrepareConfig) -> None:
    keys = configfile.differing_keys(made_with, config.model_dump(mode="json"), ignore=MACHINE_KEYS)
    if keys:
        raise DatasetError(
            f"{uri} was prepared with another configuration ({', '.join(keys)} differ); give another URI, or delete it."
        )


def _same_key(uri: str, made_with: str | None, config: PrepareConfig) -> None:
    """Refuse to call patients otherwise than `uri` does. To go on without naming any needs no key."""
    if not any(source.pseudonymised for source in config.sources):
        return
    if made_with is None:
        raise DatasetError(
            f"{uri} was prepared with patient ids as they are; give sources=[] to use it as it is, or another URI to "
            "prepare it with pseudonyms."
        )
    key = key_at_hand()
    if key is not None and key.name != made_with:
        raise DatasetError(
            f"{uri} has pseudonyms made with {made_with}, and the key in {VARIABLE} is {key.name}; put the key that it "
            "was prepared with there, or give another URI."
        )


def plan_recordings(config: PrepareConfig, console: Console) -> dict[str, int]:
    """Write the plan, one file a shard, and return recordings by shard; a plan that is complete is taken as it is."""
    index_uri = _index_uri(config)
    if storage.exists(index_uri):
        index = json.loads(storage.read_text(index_uri))
        _same_configuration(config.uri, index["config"], config)
        _same_key(config.uri, index.get("patient_key"), config)
        if index["config"]["unit_recordings"] != config.unit_recordings:
            raise DatasetError(
                f"{config.uri} is half prepared in units of {index['config']['unit_recordings']} recordings; "
                f"go on with unit_recordings={index['config']['unit_recordings']}, or delete {config.uri}/work."
            )
        return dict(index["shards"])
    shards = lay_out(_list_sources(config, console), config)
    for shard in shards:
        target = storage.join(config.uri, "work", "plan", f"{shard.name}.parquet")
        write_table(plan_table(shard), target, row_group_rows=65_536)
    sizes = {shard.name: len(shard.entries) for shard in shards}
    index = {"config": config.model_dump(mode="json"), "patient_key": _key_of(config), "shards": sizes}
    storage.write_text(index_uri, json.dumps(index))
    return sizes


def _index_uri(config: PrepareConfig) -> str:
    return storage.join(config.uri, "work", "plan", "index.json")


def _key_of(config: PrepareConfig) -> str | None:
    """Name of the key that patients of `config` get their pseudonyms with, None if none does."""
    source = next((source for source in config.sources if source.pseudonymised), None)
    return None if source is None else needed_key(source.dataset).name


def _list_sources(config: PrepareConfig, console: Console) -> list[tuple[int, RecordingRef]]:
    """Recordings of all sources from their indices; demo recordings that are not there yet are made first."""
    entries: list[tuple[int, RecordingRef]] = []
    for number, settings in enumerate(config.sources):
        source = open_source(settings)
        if isinstance(source, DemoSource):
            _make_demo(source, console)
        refs = source.list()[: settings.limit]
        console.print(f"{settings.dataset}: {len(refs):,} recordings listed from {settings.uri}", highlight=False)
        entries += [(number, ref) for ref in refs]
    seen = Counter((ref.dataset, ref.record_id) for _, ref in entries)
    twice = next((key for key, count in seen.items() if count > 1), None)
    if twice:
        raise SourceError(
            f"Recording {twice[1]} of {twice[0]} is listed by two sources; give each source its own `name`."
        )
    return entries


def _make_demo(source: DemoSource, console: Console) -> None:
    missing = source.missing()
    if not missing:
        return

    def write(patients: list[int]) -> None:
        for patient in patients:
            source.write_patient(patient)

    make = cluster.task(write)
    chunks = [missing[start : start + 20] for start in range(0, len(missing), 20)]
    pending = {make.remote(chunk): len(chunk) for chunk in chunks}
    with Meter("Making demo patients", len(missing), "patients", console) as meter:
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            ray.get(done)
            meter.advance(pending.pop(done))


def extract(config: PrepareConfig, plan: dict[str, int], console: Console) -> None:
    """Run every unit whose file is not there yet through reading and extraction."""
    todo = units_to_do(config, plan)
    total = sum(plan.values())
    done = total - sum(unit.stop - unit.start for unit in todo)
    if not todo:
        return
    if done:
        console.print(f"Going on: {done:,} of {total:,} recordings were extracted before.", highlight=False)
    cluster.say_if_busy(READ_CPUS + EXTRACT_CPUS, console)
    rejected = 0
    with Meter("Extracting", total, "recordings", console, done=done) as meter:
        for counts in unit_counts(config, todo):
            rejected += int(counts["rejected"])
            meter.advance(int(counts["recordings"]), f"{rejected} rejected" if rejected else "")


def units_to_do(config: PrepareConfig, plan: dict[str, int]) -> list[Unit]:
    """The units whose file is not there yet."""
    units = [
        unit
        for shard, recordings in plan.items()
        for unit in units_of(shard, shard.rsplit("-", 1)[0], recordings, config.unit_recordings)
    ]
    written = storage.list_files(storage.join(config.uri, "work", "units"), ".parquet")
    names = {uri.rsplit("/", 1)[1] for uri in written}
    return [unit for unit in units if f"{unit.name}.parquet" not in names]


def unit_counts(config: PrepareConfig, todo: Sequence[Unit]) -> Any:
    """Stream units through Ray Data; yields each one's counts as its file is written."""
    context = DataContext.get_current()
    context.target_max_block_size = None  # a block is a unit, however long its recordings are
    workers = config.workers or max(int(cluster.resources()["CPU"]), 1)
    items = [vars(unit) for unit in todo]
    dataset = ray.data.from_items(items, override_num_blocks=len(items))
    read = dataset.map_batches(
        ReadUnit(config.uri, config.sources).__call__,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=READ_CPUS,
        compute=TaskPoolStrategy(size=workers),
    )
    extracted = read.map_batches(
        ExtractUnit,
        fn_constructor_args=(config.uri, config.features),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=EXTRACT_CPUS,
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
    )
    return extracted.iter_rows()


def _assemble(config: PrepareConfig, plan: dict[str, int], console: Console) -> tuple[list[dict[str, Any]], pa.Table]:
    """Join the units of each shard into its file; returns facts of each shard and all rejected rows."""
    assemble = cluster.task(finish.assemble_shard)
    tasks = [
        assemble.remote(config.uri, shard, recordings, config.unit_recordings, config.row_group_rows)
        for shard, recordings in plan.items()
    ]
    with Meter("Writing shards", len(plan), "shards", console) as meter:
        facts = finish.in_parallel(tasks, meter)
    rejected = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *(fact.pop("rejected") for fact in facts)])
    if not any(fact["rows"] and fact["split"] == "train" for fact in facts):
        reasons = Counter(rejected["reason"].to_pylist()).most_common()
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons) or "none"
        raise DatasetError(
            f"Of {sum(plan.values())} recordings none is left to train on (rejected: {listed}); check the sources, "
            f"delete {config.uri}/work and prepare again."
        )
    return facts, rejected


def _fit_reducer(config: PrepareConfig, facts: Sequence[dict[str, Any]], console: Console) -> Reducer:
    shards = [fact["name"] for fact in facts if fact["split"] == "train" and fact["rows"]]
    with Meter("Fitting scaler and PCA", 2 * len(shards), "shards", console) as meter:
        return finish.fit_reducer(config.uri, shards, config.features, meter)


def _manifest(
    config: PrepareConfig, patient_key: str | None, found: int, facts: Sequence[dict[str, Any]], rejected: pa.Table
) -> Manifest:
    kept = sum(fact["recordings"] for fact in facts)
    whole = rejected.filter(pc.equal(rejected["window"], -1))
    assert found == kept + whole.num_rows, (found, kept, whole.num_rows)
    by_split = {split: [fact for fact in facts if fact["split"] == split] for split in SPLITS}
    status: Counter[str] = Counter()
    for fact in facts:
        status.update(fact["feature_status"])
    return Manifest(
        format=FORMAT,
        config=config.model_dump(mode="json"),
        patient_key=patient_key,
        found=found,
        kept=kept,
        rejected=whole.num_rows,
        rejected_by_reason=dict(Counter(whole["reason"].to_pylist()).most_common()),
        rejected_windows=rejected.num_rows - whole.num_rows,
        rows={split: sum(fact["rows"] for fact in members) for split, members in by_split.items()},
        patients={split: len({p for fact in members for p in fact["patients"]}) for split, members in by_split.items()},
        feature_status=dict(status.most_common()),
        shards=tuple(ShardEntry.model_validate(fact) for fact in facts if fact["rows"]),
    )


def summary(dataset: PreparedDataset) -> dict[str, Any]:
    """What a prepared dataset holds, as facts for a table."""
    manifest = dataset.manifest
    return {
        "dataset": dataset.uri,
        "found": manifest.found,
        "kept": manifest.kept,
        "rejected": manifest.rejected,
        "rejected as": manifest.rejected_by_reason,
        "rejected windows of kept recordings": manifest.rejected_windows,
        "10 s windows": manifest.rows,
        "patients": manifest.patients,
        "5 s halves": manifest.feature_status,
        "list of the rejected": storage.join(dataset.uri, "rejected.parquet"),
    }
