"""What a user can get wrong ends in one line that helps, and exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Run = Callable[..., CompletedProcess[str]]


def the_line(done: CompletedProcess[str]) -> str:
    """The one line on standard error, having checked that it is all there is."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("job", "arguments", "message"),
    [
        ("prepare", ["sources.0.kind=wfdb", "sources.0.uri=/no/such/folder"], "/no/such/folder"),
        ("prepare", ["sources.0.kind=ptb-xl", "sources.0.uri=/no/such/folder"], "ptbxl_database.csv"),
        ("prepare", ["feature.lead=II"], "did you mean 'features'"),
        ("prepare", ["features.lead=VII", "uri=prepared-lead"], "features.lead"),
        ("pretrain", ["training.epochs=ten"], "training.epochs"),
        ("pretrain", ["--config", "/no/such.yaml"], "/no/such.yaml does not exist"),
        ("pretrain", ["training.workers=3"], "batch_size 32 cannot be shared by 3 workers"),
        ("pretrain", ["training.device=gpu"], "the cluster has 0"),
        (
            "pretrain",
            ["training.workers=64", "training.batch_size=64", "training.cpus_per_worker=4"],
            "CPUs to read data",
        ),
        ("pretrain", ["dataset.sources=[]", "dataset.uri=/no/dataset"], "no prepared dataset at /no/dataset"),
        ("benchmark", ["probe", "prepared=/no/dataset"], "no prepared dataset at /no/dataset"),
    ],
)
def test_one_line_and_exit_2(
    run_job: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in the_line(run_job(job, *arguments))


def test_an_empty_folder(run_job: Run, tmp_path: Path) -> None:
    line = the_line(run_job("prepare", "sources.0.kind=wfdb", f"sources.0.uri={tmp_path}", f"uri={tmp_path}/prepared"))
    assert str(tmp_path) in line


def test_wrong_credentials(run_job: Run, s3: Path, tmp_path: Path) -> None:
    (s3 / "recordings").mkdir(exist_ok=True)
    done = run_job(
        "prepare",
        "sources.0.kind=wfdb",
        "sources.0.uri=s3://recordings/mine",
        f"uri={tmp_path}/prepared",
        AWS_SECRET_ACCESS_KEY="wrong",
    )
    assert "refused; check the credentials" in the_line(done)
    assert "wrong" not in done.stdout + done.stderr


def test_a_run_name_used_again_with_another_configuration(run_job: Run, tmp_path: Path) -> None:
    run = tmp_path / "runs/mine"
    run.mkdir(parents=True)
    first = run_job("pretrain", "--dry-run", "name=mine", f"output={tmp_path}/runs")
    assert first.returncode == 0, first.stderr
    resolved = first.stdout.split("\n\n")[0]
    (run / "config.yaml").write_text(resolved)
    line = the_line(run_job("pretrain", "name=mine", f"output={tmp_path}/runs", "objective.delta=0.5"))
    assert "objective.delta" in line
    assert "another name" in line


def test_a_dry_run_does_nothing(run_job: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for job in ("prepare", "pretrain"):
        done = run_job(job, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert "270" in done.stdout
    assert list(tmp_path.iterdir()) == []
