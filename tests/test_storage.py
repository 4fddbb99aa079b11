"""Storage on a local disk and on a real S3 server, and sentences for what goes wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from ray.train import WorkerGroupError

from physioclr import storage
from physioclr.errors import StorageError
from tests.faulty_s3 import FaultyS3


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


@pytest.mark.parametrize("ask", [storage.exists, storage.read_bytes, storage.list_files, storage.remove])
def test_expired_credentials_are_named(
    s3: Path, throttled: FaultyS3, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], object]
) -> None:
    """Also where the server may not say so: the answer to what asks only whether something is there has no body."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", throttled.url)
    _forget_clients()
    throttled.expired = True
    with pytest.raises(StorageError, match="refused; check the credentials"):
        ask("s3://bucket/x")
    _forget_clients()


def test_what_ray_raises_is_looked_through() -> None:
    """What storage has said stands behind errors of Ray's own; what has nothing to do with it stays as it is."""
    behind = WorkerGroupError("workers failed", {0: OSError(errno.EINVAL, "Bad Request")})
    said = "Keeping checkpoints in s3://bucket/x was refused; check the credentials"
    with pytest.raises(StorageError, match=said), storage.readable_causes("s3://bucket/x", "Keeping checkpoints in"):
        raise behind
    other = WorkerGroupError("workers failed", {0: OSError(errno.EINVAL, "Invalid argument")})
    with pytest.raises(WorkerGroupError), storage.readable_causes("s3://bucket/x", "Keeping checkpoints in"):
        raise other


def test_physionets_public_bucket_is_read_without_credentials() -> None:
    assert storage.filesystem("s3://physionet-open/ptb-xl")[0].anon
    assert not storage.filesystem("s3://physionet-open/ptb-xl", anonymous=False)[0].anon
    assert not storage.filesystem("s3://hospital/archive")[0].anon
    assert not storage.filesystem("s3://physionet-open-mine/archive")[0].anon, "a bucket of somebody else"


def test_a_throttling_server_is_asked_again(s3: Path, throttled: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> None:
    (s3 / "bucket").mkdir(exist_ok=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", throttled.url)
    _forget_clients()
    for number in range(12):
        storage.write_bytes(f"s3://bucket/throttled/{number}", bytes([number]) * 1000)
    assert [storage.read_bytes(f"s3://bucket/throttled/{n}") for n in range(12)] == [
        bytes([n]) * 1000 for n in range(12)
    ]
    assert throttled.count["failed"] > 3
    _forget_clients()


def _forget_clients() -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("cut", [0, 3])
def test_a_copy_that_is_too_short_is_noticed(tmp_path: Path, cut: int) -> None:
    """As a full disk leaves it."""
    (tmp_path / "from/deep").mkdir(parents=True)
    for name in ("one", "deep/two"):
        (tmp_path / "from" / name).write_bytes(bytes(5))
    storage.upload(tmp_path / "from", f"{tmp_path}/to")
    storage.check_arrived(tmp_path / "from", f"{tmp_path}/to")
    (tmp_path / "to/deep/two").write_bytes(bytes(cut))
    with pytest.raises(StorageError, match=rf"to/deep/two failed: {cut} of 5 bytes have arrived"):
        storage.check_arrived(tmp_path / "from", f"{tmp_path}/to")
    (tmp_path / "to/deep/two").unlink()
    with pytest.raises(StorageError, match="to/deep/two does not exist"):
        storage.check_arrived(tmp_path / "from", f"{tmp_path}/to")


def test_the_first_bytes_of_a_file_are_read_without_the_rest(base: str) -> None:
    storage.write_bytes(f"{base}/long", b"0123456789")
    storage.write_bytes(f"{base}/empty", b"")
    assert storage.read_bytes(f"{base}/long", most=4) == b"0123"
    assert storage.read_bytes(f"{base}/long", most=400) == b"0123456789"
    assert storage.read_bytes(f"{base}/empty", most=4) == b""
    with pytest.raises(StorageError, match="does not exist"):
        storage.read_bytes(f"{base}/nothing", most=4)


def test_a_file_written_piece_by_piece_is_seen_when_it_is_whole(base: str) -> None:
    with storage.writing(f"{base}/a/new") as file:
        file.write(b"one ")
        assert not storage.exists(f"{base}/a/new")
        file.write(b"two")
    with pytest.raises(TypeError), storage.writing(f"{base}/a/new") as file:
        file.writelines([b"half of it", None])  # type: ignore[list-item]
    assert storage.read_bytes(f"{base}/a/new") == b"one two"
    assert storage.list_files(base) == [f"{base}/a/new"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_files_have_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        storage.write_text(f"{tmp_path}/patients", "p1")
    finally:
        os.umask(before)
    assert (tmp_path / "patients").stat().st_mode & 0o777 == 0o666 & ~umask
