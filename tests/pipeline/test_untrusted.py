"""Files from strangers: they execute nothing, and name nothing outside their own URI."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data._internal.object_extensions.arrow as ray_objects
import torch
from rich.console import Console

from physioclr import configfile
from physioclr.classifier import export_classifier, load_classifier
from physioclr.config import ModelConfig, PrepareConfig, PretrainConfig, SourceConfig
from physioclr.encoder import export_encoder, load_encoder
from physioclr.errors import ConfigError, DatasetError, EncoderError, RunError, SourceError
from physioclr.method.encoder import Encoder as Network
from physioclr.pipeline.dataset import FORMAT, PreparedDataset, ShardEntry, read_table
from physioclr.pipeline.finetune.trained_on import FILE as TRAINED_ON
from physioclr.pipeline.finetune.trained_on import read_trained_on
from physioclr.pipeline.prepare.extract import ReadUnit
from physioclr.pipeline.prepare.job import plan_recordings, units_to_do
from physioclr.pipeline.run import check_claim
from physioclr.pipeline.training.state import FILE, load_checkpoint
from physioclr.sources.demo import DemoSource
from physioclr.sources.registry import open_source

TINY = ModelConfig(size="tiny", width=16, depth=1, heads=2, feedforward=32, conv_channels=8, position_groups=4)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What harm would leave."""
    return tmp_path / "executed"


class Harm:
    """Unpickled, it leaves its mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_what_is_planted_would_do_harm(mark: Path) -> None:
    pickle.loads(pickle.dumps(Harm(mark)))
    assert mark.exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir ['{}']", "!!python/name:os.system '{}'"])
def test_yaml_executes_nothing(tmp_path: Path, mark: Path, tag: str) -> None:
    text = f"name: {tag.format(mark)}"
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match="not valid YAML"):
        configfile.load(PretrainConfig, str(tmp_path / "c.yaml"))
    with pytest.raises(ConfigError, match="not valid YAML"):
        configfile.load(PretrainConfig, None, [f"name={tag.format(mark)}"])
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/config.yaml").write_text(text)
    with pytest.raises(RunError, match="is not the configuration of a run"):
        check_claim(PretrainConfig(name="x", output=str(tmp_path / "runs")))
    assert not mark.exists()


def planted(mark: Path) -> dict[str, bytes]:
    whole = {"format": 1, "model": Harm(mark)}
    return {"pickle": pickle.dumps(whole), "nothing": b"", "noise": b"PK\x03\x04" + bytes(range(200)), "text": b"hello"}


@pytest.mark.parametrize("kind", ["torch", "pickle", "nothing", "noise", "text"])
def test_a_checkpoint_executes_nothing_and_says_so_in_a_sentence(tmp_path: Path, mark: Path, kind: str) -> None:
    if kind == "torch":
        torch.save({"format": 1, "model": Harm(mark)}, tmp_path / FILE)
    else:
        (tmp_path / FILE).write_bytes(planted(mark)[kind])
    with pytest.raises(RunError, match="damaged or holds more than weights") as caught:
        load_checkpoint(tmp_path)
    assert "weights_only" not in str(caught.value)
    assert not mark.exists()


def test_a_checkpoint_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / FILE)
    with pytest.raises(RunError, match="another version"):
        load_checkpoint(tmp_path)


def safetensors(header: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header


BROKEN = [
    b"",
    safetensors(b"{}", 2**62),
    safetensors(b"not json"),
    safetensors(json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()),
    safetensors(json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}).encode()),
    safetensors(b"{}"),
]


@pytest.mark.parametrize("data", [*BROKEN, b"pickle"], ids=range(len(BROKEN) + 1))
@pytest.mark.parametrize("file", ["model", "head"])
def test_broken_safetensors_are_refused(tmp_path: Path, mark: Path, data: bytes, file: str) -> None:
    weight, bias = torch.zeros(2, 16), torch.zeros(2)
    head = {"weight": weight, "bias": bias, "classes": ["a", "b"], "task": "t"}
    export_classifier(Network(TINY), TINY, str(tmp_path), **head, trained_on={}, token_pool="mean")
    load_classifier(str(tmp_path))
    (tmp_path / f"{file}.safetensors").write_bytes(pickle.dumps(Harm(mark)) if data == b"pickle" else data)
    with pytest.raises(EncoderError, match="is not an exported"):
        load_classifier(str(tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', "null", '{"model": {"size": "!!python"}}'])
def test_broken_facts_of_an_encoder_are_refused(tmp_path: Path, text: str) -> None:
    export_encoder(Network(TINY), TINY, str(tmp_path), trained_on={})
    (tmp_path / "encoder.json").write_text(text)
    with pytest.raises(EncoderError):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("key", ["format", "model", "preprocessing", "trained_on"])
def test_facts_that_an_encoder_lacks_are_missed(tmp_path: Path, key: str) -> None:
    export_encoder(Network(TINY), TINY, str(tmp_path), trained_on={})
    facts = json.loads((tmp_path / "encoder.json").read_text())
    del facts[key]
    (tmp_path / "encoder.json").write_text(json.dumps(facts))
    with pytest.raises(EncoderError, match="not an exported encoder"):
        load_encoder(str(tmp_path))


def pickled_column(mark: Path, nested: bool) -> pa.Table:
    """A table with a column of the type with which Ray stores Python objects, on its own or within a list."""
    objects = ray_objects.ArrowPythonObjectType()
    column = pa.ExtensionArray.from_storage(objects, pa.array([pickle.dumps(Harm(mark))], pa.large_binary()))
    if nested:
        column = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), column)
    return pa.table({"record_id": column})


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_executes_nothing(tmp_path: Path, mark: Path, nested: bool) -> None:
    """Ray registers a type whose values are unpickled when they are looked at, wherever the file is from."""
    uri = str(tmp_path / TRAINED_ON)
    pq.write_table(pickled_column(mark, nested), uri)
    with pytest.raises(DatasetError, match="may execute code"):
        read_table(uri)
    with pytest.raises(DatasetError, match="may execute code"):
        read_trained_on(str(tmp_path))
    assert not mark.exists()
    pq.read_table(uri)["record_id"].to_pylist()
    assert mark.exists(), "it would have"


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 4, b"hello, this is no parquet"])
def test_what_is_no_parquet_is_refused_with_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(DatasetError, match="is not a Parquet file"):
        read_table(str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/b", "..", "s3://bucket/x", "", ".hidden", "a\\b"])
def test_a_manifest_names_no_shard_outside_its_dataset(tmp_path: Path, name: str) -> None:
    shard = {"name": name, "split": "train", "rows": 1, "row_groups": [1], "bytes": 1}
    counts = {"found": 1, "kept": 1, "rejected": 0, "rejected_windows": 0}
    maps = {"config": {}, "rejected_by_reason": {}, "rows": {}, "patients": {}, "feature_status": {}}
    whole = {"format": FORMAT, **counts, **maps, "shards": [shard]}
    (tmp_path / "manifest.json").write_text(json.dumps(whole))
    with pytest.raises(DatasetError, match="is not a manifest"):
        PreparedDataset.open(str(tmp_path))
    (tmp_path / "manifest.json").write_text(json.dumps(whole | {"shards": [shard | {"name": "train-00000"}]}))
    assert PreparedDataset.open(str(tmp_path)).split_shards("train")[0] == ShardEntry(**shard | {"name": "train-00000"})


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two recordings in a folder, and a good signal outside of it."""
    demo = DemoSource(SourceConfig(uri=str(tmp_path / "made"), patients=3, recordings_per_patient=1))
    for patient in demo.missing():
        demo.write_patient(patient)
    folder = tmp_path / "archive"
    (tmp_path / "made/training/demo/g1").rename(folder)
    (folder / "D00003.mat").rename(tmp_path / "outside.mat")
    return folder


@pytest.mark.parametrize("named", ["../outside.mat", "{}/outside.mat", "a/../../outside.mat"])
def test_a_header_that_points_outside_is_one_rejected_recording(archive: Path, console: Console, named: str) -> None:
    header = archive / "D00003.hea"
    header.write_text(header.read_text().replace("D00003.mat", named.format(archive.parent)))
    config = PrepareConfig(
        uri=str(archive.parent / "prepared"), sources=(SourceConfig(kind="wfdb", uri=str(archive), name="own"),)
    )
    plan = plan_recordings(config, console)
    units = [pa.Table.from_pylist([vars(unit)]) for unit in units_to_do(config, plan)]
    rows = [row for unit in units for row in ReadUnit(config.uri, config.sources)(unit).to_pylist()]
    assert {row["record_id"]: row["reason"] for row in rows} == {
        "own/D00001": None,
        "own/D00002": None,
        "own/D00003": "unsafe_path",
    }


@pytest.mark.parametrize("line", ["../outside", "/etc/passwd", "a/../../outside", "../made/", "file:///etc/passwd"])
def test_an_index_that_points_outside_is_refused_before_anything_is_read(archive: Path, line: str) -> None:
    (archive / "RECORDS").write_text(f"D00001\n{line}\n")
    with pytest.raises(SourceError, match="not a path below it"):
        open_source(SourceConfig(kind="wfdb", uri=str(archive))).list()
