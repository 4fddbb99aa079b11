"""`make audit`: says when it was skipped, and fails on what the database knows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def audit(folder: Path, reachable: bool, weak: bool) -> subprocess.CompletedProcess[str]:
    """The script with stand-ins for Python, which asks whether PyPI is there, and for pip-audit."""
    for name, line in (("python", f"exit {int(not reachable)}"), ("pip-audit", f'echo "given: $*"; exit {int(weak)}')):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "BIN": str(folder)}
    return subprocess.run([ROOT / ".ci/audit"], env=environment, capture_output=True, text=True, check=False)


def test_without_the_database_it_is_skipped_and_said(tmp_path: Path) -> None:
    done = audit(tmp_path, reachable=False, weak=True)
    assert done.returncode == 0
    assert "was skipped" in done.stdout
    assert "given" not in done.stdout


@pytest.mark.parametrize("weak", [False, True])
def test_the_image_is_audited_and_weaknesses_fail(tmp_path: Path, weak: bool) -> None:
    done = audit(tmp_path, reachable=True, weak=weak)
    assert done.returncode == int(weak)
    assert "given: --requirement cluster/requirements.lock" in done.stdout
    assert (ROOT / "cluster/requirements.lock").exists()


def test_the_tool_comes_with_the_environment_and_the_gate_runs_it() -> None:
    assert '"pip-audit' in (ROOT / "pyproject.toml").read_text()
    assert "make audit" in (ROOT / ".ci/run").read_text()
