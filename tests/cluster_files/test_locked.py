"""Every shipped file that starts Ray asks for a token and keeps the dashboard to itself; none has a secret in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
FILES = sorted(path for path in CLUSTER.rglob("*") if path.is_file() and path.name != "requirements.lock")
HEAD = re.compile(r"ray start (?:\\\n|.)*?--head(?:.*\\\n)*.*")
HOST = re.compile(r"dashboard-host[=: ]+\"?([\w.:]+)")
MODE = re.compile(r"RAY_AUTH_MODE\"?[=: ]+\"?(\w+)")
SECRET = re.compile(r"\b[0-9a-f]{32,}\b|AKIA[0-9A-Z]{16}|-----BEGIN|aws_secret_access_key\s*[=:]\s*\S", re.IGNORECASE)
# KubeRay asks the dashboard of the head's pod how the job is, so there it listens on the pod's address.
IN_A_POD = {"raycluster.yaml", "rayjob.yaml"}


def starting_ray() -> list[Path]:
    """Files with a head in them, whichever way they start it."""
    return [path for path in FILES if path.name in IN_A_POD or "ray start --head" in " ".join(path.read_text().split())]


def by_name(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", paths, ids=lambda path: path.relative_to(CLUSTER).as_posix())


def test_the_files_that_start_ray_are_found() -> None:
    assert {path.name for path in starting_ray()} == {
        "aws.yaml",
        "gcp.yaml",
        "onprem.yaml",
        "physioclr.sbatch",
    } | IN_A_POD


@by_name(starting_ray())
def test_a_token_is_asked_for(file: Path) -> None:
    if file.name in IN_A_POD:
        assert auth_options(yaml.safe_load(file.read_text())) == [{"mode": "token", "secretName": "physioclr-token"}]
    else:
        assert set(MODE.findall(file.read_text())) == {"token"}


def auth_options(value: object) -> list[object]:
    """All sections `authOptions` of a manifest."""
    if isinstance(value, list):
        return [found for one in value for found in auth_options(one)]
    if not isinstance(value, dict):
        return []
    here = [value["authOptions"]] if "authOptions" in value else []
    return here + [found for one in value.values() for found in auth_options(one)]


@by_name(FILES)
def test_nothing_switches_the_token_off(file: Path) -> None:
    assert set(MODE.findall(file.read_text())) <= {"token"}
    assert "RAY_AUTH_TOKEN=" not in file.read_text(), "a file that can be protected, and not a variable that is shown"


@by_name(starting_ray())
def test_the_dashboard_listens_on_the_loopback(file: Path) -> None:
    text = file.read_text()
    if file.name in IN_A_POD:
        assert HOST.findall(text) == ["0.0.0.0"]
        assert "serviceType: ClusterIP" in text, "and is not shown to the world"
    else:
        heads = HEAD.findall(text)
        assert heads
        assert all(HOST.findall(head) == ["127.0.0.1"] for head in heads)


@by_name(FILES)
def test_no_file_has_a_secret_in_it(file: Path) -> None:
    assert SECRET.findall(file.read_text()) == []


@pytest.mark.parametrize("file", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_no_configuration_has_a_secret_in_it(file: Path) -> None:
    assert SECRET.findall(file.read_text()) == []


def test_secrets_would_be_found() -> None:
    for text in ("token: " + "0123456789abcdef" * 4, "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalr"):
        assert SECRET.search(text)


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=lambda path: path.name)
def test_commands_in_the_documentation_ask_for_a_token_too(document: Path) -> None:
    """Before a head is started."""
    seen = ""
    for block in re.findall(r"^```\w*\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE):
        seen += block
        for head in HEAD.findall(block):
            assert "RAY_AUTH_MODE=token" in seen
            assert HOST.findall(head) == ["127.0.0.1"]
        assert "--dashboard-host=0.0.0.0" not in block
