"""The program that hands a cloud's notice on to Ray: run against stand-ins for metadata services and for Ray."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "cluster" / "spot_notice.py"


class Metadata(http.server.BaseHTTPRequestHandler):
    """Both clouds' services: what is in `pages` is there, and questions without their cloud's header are refused."""

    pages: dict[str, str] = {}  # noqa: RUF012

    def do_PUT(self) -> None:
        self.reply("token" if "x-aws-ec2-metadata-token-ttl-seconds" in self.headers and self.pages else None)

    def do_GET(self) -> None:
        known = (
            self.headers.get("x-aws-ec2-metadata-token") == "token" or self.headers.get("Metadata-Flavor") == "Google"
        )
        self.reply(self.pages.get(self.path) if known else None)

    def reply(self, text: str | None) -> None:
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the metadata services have; may change while the program runs."""
    mine: dict[str, str] = {}
    monkeypatch.setattr(Metadata, "pages", mine)
    return mine


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start the program; `ray` leaves its words in the file `said`."""
    ray = tmp_path / "ray"
    ray.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/said\n')
    ray.chmod(0o755)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SPOT_NOTICE_AWS": f"{address}/aws",
            "SPOT_NOTICE_GOOGLE": f"{address}/google",
            "SPOT_NOTICE_POLL_SECONDS": "0.05",
        }
        yield lambda: subprocess.Popen(
            [sys.executable, str(PROGRAM)], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        server.shutdown()


@pytest.mark.parametrize(
    ("on_spot", "notice", "seconds"),
    [
        ({"/aws/meta-data/instance-life-cycle": "spot"}, {"/aws/meta-data/spot/instance-action": "{}"}, 105),
        (
            {"/google/scheduling/preemptible": "TRUE", "/google/preempted": "FALSE"},
            {"/google/preempted": "TRUE"},
            15,
        ),
    ],
    ids=["aws", "google"],
)
def test_notice_is_handed_on_with_what_is_left_of_the_time(
    start: Callable[[], subprocess.Popen[str]],
    pages: dict[str, str],
    tmp_path: Path,
    on_spot: dict[str, str],
    notice: dict[str, str],
    seconds: int,
) -> None:
    pages.update(on_spot)
    program = start()
    time.sleep(1)
    assert program.poll() is None, "it waits"
    assert not (tmp_path / "said").exists()
    pages.update(notice)
    said = program.communicate(timeout=60)[0]
    assert program.returncode == 0, said
    words = (tmp_path / "said").read_text()
    assert words.startswith("drain-node --reason=DRAIN_NODE_REASON_PREEMPTION")
    assert words.strip().endswith(f"--deadline-remaining-seconds={seconds}")


@pytest.mark.parametrize("life", [{}, {"/aws/meta-data/instance-life-cycle": "on-demand"}])
def test_elsewhere_it_ends_at_once(
    start: Callable[[], subprocess.Popen[str]], pages: dict[str, str], life: dict[str, str]
) -> None:
    pages.update(life)
    program = start()
    assert "not on spot" in program.communicate(timeout=60)[0]
    assert program.returncode == 0


def test_ray_takes_these_words() -> None:
    """`ray drain-node` is hidden and may change: its options are asked for here."""
    from ray.scripts.scripts import cli

    options = {name for option in cli.commands["drain-node"].params for name in option.opts}
    assert {"--reason", "--reason-message", "--deadline-remaining-seconds"} <= options
