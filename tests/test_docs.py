"""What the documentation says is so: links, names of files, tables and examples."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from physioclr.config import ModelConfig, ObjectiveConfig, SourceConfig
from physioclr.ecg.record import REJECTION_REASONS
from physioclr.ecg.standardise import standardise
from physioclr.encoder import export_encoder
from physioclr.evaluation.tasks import TASKS
from physioclr.method.encoder import Encoder, parameter_count
from physioclr.method.objective import PhysioCLR
from physioclr.method.sizes import SIZES
from physioclr.pipeline.dataset import REJECTED_SCHEMA, ROW_SCHEMA, write_table
from physioclr.report.curves import PANELS
from physioclr.sources.registry import open_source

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
STARTED, PRIVACY, METHOD = (
    (ROOT / "docs" / f"{name}.md").read_text() for name in ("getting-started", "data-and-privacy", "method")
)


def each(documents: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", documents, ids=lambda path: path.name)


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(text: str, *columns: str) -> list[list[str]]:
    """Cells, without backticks around them, of the Markdown table whose first columns are called so."""
    _, found, rest = text.partition(f"| {' | '.join(columns)} |")
    assert found, columns
    rows = rest.splitlines()[2:]
    end = next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[:end]]


def example(text: str, having: str) -> str:
    """The Python example that has `having` in it."""
    (code,) = [
        block for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE) if having in block
    ]
    return code


@each(DOCUMENTS)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each(DOCUMENTS)
def test_files_that_are_named_are_there(document: Path) -> None:
    """Capitals, as in `configs/prepare_NAME.yaml`, stand for a name."""
    pattern = r"\b(?:(?:jobs|configs|docs|tests|physioclr)/)[\w/.-]+\.(?:py|yaml|md)\b"
    for name in re.findall(pattern, document.read_text()):
        assert (ROOT / name).exists() or "NAME" in name, name


@each(DOCUMENTS)
def test_make_targets_that_are_named_are_there(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_schema_is_the_stored_one() -> None:
    rows = table(STARTED, "column", "type", "meaning")
    assert [row[0] for row in rows] == ROW_SCHEMA.names
    described = {"string": pa.string(), "int32": pa.int32(), "float": pa.float32(), "binary": pa.binary()}
    for name, kind, _ in rows:
        assert ROW_SCHEMA.field(name).type == described.get(kind, ROW_SCHEMA.field(name).type)
    rejected = next(row[1] for row in table(STARTED, "file", "what it holds") if row[0] == "rejected.parquet")
    assert re.findall(r"\b[a-z_]+\b", re.sub(r"\(.*?\)", "", rejected)) == REJECTED_SCHEMA.names


def test_the_reasons_are_those_of_the_code() -> None:
    assert dict(table(PRIVACY, "reason", "meaning")) == REJECTION_REASONS


def test_errors_are_quoted_as_the_code_has_them() -> None:
    code = "".join(file.read_text() for file in sorted((ROOT / "physioclr").rglob("*.py")))
    for quoted, *_ in table(STARTED, "the line has", "what it means", "what to do"):
        assert quoted in code, quoted


def test_the_sizes_are_those_of_the_network() -> None:
    rows = {row[0]: row[1:] for row in table(METHOD, "`model.size`", "convolutions")}
    assert list(rows) == list(SIZES)
    for name, cells in rows.items():
        sizes = SIZES[name]
        with torch.device("meta"):
            whole = PhysioCLR(ModelConfig(size=name), ObjectiveConfig())  # type: ignore[arg-type]
        assert cells == [
            str(sizes.conv_channels),
            str(sizes.width),
            str(sizes.depth),
            str(sizes.heads),
            str(sizes.feedforward),
            f"{sizes.position_kernel}, {sizes.position_groups}",
            str(sizes.projection),
            f"{parameter_count(whole.encoder):,}",
            f"{parameter_count(whole):,}",
        ]


def test_the_metrics_that_are_drawn_are_explained() -> None:
    explained = {name for row in table(METHOD, "name", "in", "meaning") for name in re.findall(r"\w+", row[0])}
    drawn = {key for panel in PANELS for key, _ in panel.lines} | {panel.chance for panel in PANELS if panel.chance}
    assert drawn <= explained


def test_every_task_is_named() -> None:
    assert all(f"`{name}`" in STARTED for name in TASKS)


def test_wfdb_files_written_as_shown_can_be_read(tmp_path: Path) -> None:
    exec(example(STARTED, "wrsamp").replace("/data/ecg", str(tmp_path)), {})
    labels = STARTED.split("separated by commas:\n\n```\n")[1].split("```")[0]
    lines = [line for line in labels.splitlines() if line.startswith(("record,", "0001,"))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    source = open_source(
        SourceConfig(
            kind="wfdb", uri=str(tmp_path), name="own", labels_csv=str(tmp_path / "labels.csv"), pseudonymise=False
        )
    )
    (ref,) = source.list()
    assert (ref.record_id, ref.patient_id, ref.labels, ref.sex) == ("own/0001", "own/p17", ("426783006",), "female")
    (window,) = standardise(source.read(ref)).windows
    written = np.random.default_rng(0).normal(size=(12, 5000))
    assert np.abs(window.signal / 1000 - written).max() < 0.002


def test_a_shard_can_be_read_as_shown(tmp_path: Path) -> None:
    signal = np.arange(60_000, dtype="<i2").reshape(12, 5000)
    row = {
        "record_id": "own/1",
        "unit": "mV",
        "signal": signal.tobytes(),
        "features": np.arange(300, dtype=np.float32),
        "intervals": [[0, 10, 60, 1, 80, 130], []],
    }
    write_table(pa.Table.from_pylist([row], schema=ROW_SCHEMA), str(tmp_path / "train-00000.parquet"), 32)
    names: dict[str, np.ndarray] = {}
    exec(example(STARTED, "frombuffer").replace("work/demo-prepared/shards", str(tmp_path)), names)
    np.testing.assert_array_equal(names["signal"], signal / 1000)
    assert names["features"].shape == (1, 2, 150)
    assert names["waves"].tolist() == [[0, 10, 60], [1, 80, 130]]


def test_the_encoder_can_be_used_as_shown(tmp_path: Path) -> None:
    model = ModelConfig(size="tiny")
    export_encoder(Encoder(model), model, str(tmp_path), trained_on={})
    names: dict[str, np.ndarray] = {}
    exec(
        example((ROOT / "README.md").read_text(), "load_encoder").replace("work/runs/demo/encoder", str(tmp_path)),
        names,
    )
    assert names["embeddings"].shape == (2, names["encoder"].width)
