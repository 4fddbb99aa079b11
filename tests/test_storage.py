"""Storage on a local disk and on a real S3 server, and sentences for what goes wrong."""

from __future__ import annotations

import http.server
import random
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import fsspec
import pytest

from physioclr import storage
from physioclr.errors import StorageError


@pytest.fixture(params=["local", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    root: Path = request.getfixturevalue("s3")
    (root / "bucket").mkdir(exist_ok=True)
    fsspec.config.conf.clear()
    return f"s3://bucket/{tmp_path.name}"


def test_what_is_written_is_read_listed_and_removed(base: str) -> None:
    storage.write_text(storage.join(base, "a", "one.txt"), "µV")
    storage.write_bytes(storage.join(base, "a/b/two.bin"), b"\x00\x01")
    assert storage.read_text(f"{base}/a/one.txt") == "µV"
    assert storage.list_files(base) == [f"{base}/a/b/two.bin", f"{base}/a/one.txt"]
    assert storage.list_files(base, ".bin") == [f"{base}/a/b/two.bin"]
    assert storage.exists(f"{base}/a/one.txt")
    assert storage.exists(f"{base}/a")
    storage.write_text(f"{base}/a/one.txt", "again")
    assert storage.read_text(f"{base}/a/one.txt") == "again"
    storage.remove(f"{base}/a")
    storage.remove(f"{base}/a")
    assert storage.list_files(base) == []
    assert not storage.exists(f"{base}/a/one.txt")


def test_a_missing_file_is_named(base: str) -> None:
    with pytest.raises(StorageError, match=r"nothing\.txt does not exist"):
        storage.read_text(f"{base}/nothing.txt")


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(StorageError, match="gopher"):
        storage.read_text("gopher://x/y")


def test_wrong_credentials_are_named(s3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-right-one")
    _forget_clients()
    with pytest.raises(StorageError, match="refused; check the credentials"):
        storage.list_files("s3://bucket/x")
    _forget_clients()


def test_physionets_public_bucket_is_read_without_credentials() -> None:
    assert storage.filesystem("s3://physionet-open/ptb-xl")[0].anon
    assert not storage.filesystem("s3://physionet-open/ptb-xl", anonymous=False)[0].anon
    assert not storage.filesystem("s3://hospital/archive")[0].anon


def test_a_throttling_server_is_asked_again(s3: Path, throttled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (s3 / "bucket").mkdir(exist_ok=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", throttled)
    _forget_clients()
    for number in range(12):
        storage.write_bytes(f"s3://bucket/throttled/{number}", bytes([number]) * 1000)
    assert [storage.read_bytes(f"s3://bucket/throttled/{n}") for n in range(12)] == [
        bytes([n]) * 1000 for n in range(12)
    ]
    assert Throttle.refused > 3
    _forget_clients()


def _forget_clients() -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


class Throttle(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the S3 server, but answers every third one with 503 Slow Down."""

    protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`
    upstream = ""
    refused = 0
    dice = random.Random(0)

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.dice.random() < 0.3:
            Throttle.refused += 1
            self._answer(503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>", {})
            return
        headers = {key: value for key, value in self.headers.items() if key.lower() != "expect"}
        request = urllib.request.Request(self.upstream + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as answer:
                self._answer(answer.status, answer.read(), dict(answer.headers))
        except HTTPError as error:
            self._answer(error.code, error.read(), dict(error.headers))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(key, value)
        length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def throttled(s3: Path) -> Iterator[str]:
    """Address of a server in front of the S3 server that throttles."""
    import os

    Throttle.upstream = os.environ["AWS_ENDPOINT_URL"]
    Throttle.refused = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Throttle) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
