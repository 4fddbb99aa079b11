"""What a user can get wrong ends in one line that helps, and exit code 2."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    """What a job left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Job = Callable[..., Done]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ray_here: None) -> Job:
    """Run `jobs/NAME.py ARGUMENTS` as a script, in this process: starting one for each would take minutes."""

    def run(name: str, *arguments: str) -> Done:
        script = ROOT / "jobs" / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(script), run_name="__main__")
        printed = capsys.readouterr()
        return Done(ended.value.code, printed.out, printed.err)

    return run


def the_line(done: Done) -> str:
    """The one line on standard error, having checked that it is all there is."""
    assert done.code == 2, done.out + done.err
    assert "Traceback" not in done.out + done.err
    lines = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.err
    return lines[0]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("prepare", ["sources.0.kind=wfdb", "sources.0.uri=/no/such/folder"], "/no/such/folder"),
        ("prepare", ["sources.0.kind=ptb-xl", "sources.0.uri=/no/such/folder"], "ptbxl_database.csv"),
        ("prepare", ["feature.lead=II"], "did you mean 'features'"),
        ("prepare", ["features.lead=VII"], "features.lead in the command line is 'VII': must be one of I, II"),
        ("pretrain", ["training.epochs=ten"], "training.epochs"),
        ("pretrain", ["--config", "/no/such.yaml"], "/no/such.yaml does not exist"),
        ("pretrain", ["training.workers=3"], "batch_size 32 cannot be shared by 3 workers"),
        (
            "pretrain",
            ["training.workers=[1, 3]"],
            "by every number of workers from 1 to 3 in 1 micro-batches; make it a",
        ),
        ("pretrain", ["training.workers=[3, 1]"], "training.workers in the command line is [3, 1]: must be a whole"),
        ("pretrain", ["training.workers=none"], "must be a whole number of 1 or more, or two of them"),
        ("pretrain", ["training.device=gpu"], "the cluster has 0"),
        (
            "pretrain",
            ["training.workers=64", "training.batch_size=64", "training.cpus_per_worker=4"],
            "CPUs to read data",
        ),
        ("pretrain", ["dataset.sources=[]", "dataset.uri=/no/dataset"], "no prepared dataset at /no/dataset"),
        ("benchmark", ["probe", "prepared=/no/dataset"], "no prepared dataset at /no/dataset"),
        ("finetune", ["prepared=/no/dataset"], "no prepared dataset at /no/dataset"),
        ("finetune", ["mode=probe", "encoder=null"], "mode probe needs an encoder"),
        ("finetune", ["split=random"], "must be fixed, or folds such as {folds: 5"),
        ("finetune", ["split.fold=7"], "fold 7 is not one of 5, which count from 0"),
        ("finetune", ["split.folds=3", "test=/another"], "so nothing is left to split"),
        ("finetune", ["split.folds=2"], "greater than or equal to 3"),
        ("finetune", ["task=own"], "task=own and the section `own` need each other"),
        ("finetune", ["own.minimum=3", "task=own", "own.classes=[a]"], "give either `classes`"),
        ("finetune", ["label_fraction=0"], "label_fraction in the command line is 0"),
        ("search", ["space={objective.dleta: {choices: [0.1]}}"], "did you mean 'objective.delta'"),
        ("search", ["pretrain.monitor.probe=none"], "the probe is what is maximised"),
        ("finetune", ["training.workers=3"], "batch_size 32 cannot be shared by 3 workers"),
    ],
)
def test_one_line_and_exit_2(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in the_line(job(name, *arguments))


def test_an_empty_folder(job: Job, tmp_path: Path) -> None:
    line = the_line(job("prepare", "sources.0.kind=wfdb", f"sources.0.uri={tmp_path}", f"uri={tmp_path}/prepared"))
    assert str(tmp_path) in line


def test_wrong_credentials(s3: Path, tmp_path: Path) -> None:
    """In a process of its own, since S3 clients are kept for the life of one."""
    (s3 / "recordings").mkdir(exist_ok=True)
    script = [
        sys.executable,
        str(ROOT / "jobs/prepare.py"),
        "sources.0.kind=wfdb",
        "sources.0.uri=s3://recordings/mine",
    ]
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": "not-the-right-one"}
    done = subprocess.run(
        script, capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path, check=False
    )
    assert "refused; check the credentials" in the_line(Done(done.returncode, done.stdout, done.stderr))
    assert "not-the-right-one" not in done.stdout + done.stderr


def test_a_run_name_used_again_with_another_configuration(job: Job, tmp_path: Path) -> None:
    run = tmp_path / "runs/mine"
    run.mkdir(parents=True)
    first = job("pretrain", "--dry-run", "name=mine", f"output={tmp_path}/runs")
    assert first.code == 0, first.err
    resolved = first.out.split("\n\n")[0]
    (run / "config.yaml").write_text(resolved)
    line = the_line(job("pretrain", "name=mine", f"output={tmp_path}/runs", "objective.delta=0.5"))
    assert "objective.delta" in line
    assert "another name" in line


def test_a_dry_run_does_nothing(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("prepare", "pretrain"):
        done = job(name, "--dry-run")
        assert done.code == 0, done.err
        assert "270" in done.out
    assert list(tmp_path.iterdir()) == []
