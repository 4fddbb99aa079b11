"""Every byte in and out, by URI: a local folder, `s3://...`, or anything else that fsspec knows.

Credentials come from the environment (or the machine's role) and are refreshed by botocore; they are never
configuration. Throttled and failed S3 requests are tried again by botocore with growing, jittered pauses.
"""

from __future__ import annotations

import errno
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
import pyarrow.fs
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.implementations.local import LocalFileSystem

from physioclr.errors import StorageError, UserError, causes
from physioclr.uris import checked

PUBLIC_BUCKETS = ("physionet-open",)  # read without credentials unless the source says otherwise
S3_CLIENT = {
    "retries": {"mode": "standard", "max_attempts": 10},
    "connect_timeout": 10,
    "read_timeout": 60,
    # Servers other than Amazon's may not know the newer checksums, or send a whole object's for a part of it.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


def filesystem(uri: str, anonymous: bool | None = None) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system that holds `uri`, and the path of `uri` on it.

    `anonymous` reads S3 without credentials; left at None that is done for PhysioNet's public bucket only.
    Raises `StorageError` for a scheme that nothing installed can open, and for URIs that `physioclr.uris` refuses.
    """
    checked(uri)
    options: dict[str, Any] = {}
    if uri.startswith(("s3://", "s3a://")):
        bucket = uri.partition("://")[2].partition("/")[0]
        public = bucket in PUBLIC_BUCKETS if anonymous is None else anonymous
        options = {"anon": public, "config_kwargs": S3_CLIENT, "use_listings_cache": False}
    try:
        fs, path = fsspec.core.url_to_fs(uri, **options)
    except (ValueError, ImportError) as error:
        raise StorageError(f"{uri!r} cannot be opened ({error}); use a folder or an s3:// URI.") from error
    return fs, path


def absolute(uri: str, base: Path | None = None) -> str:
    """`uri` as every process sees it: a relative local path is taken from `base`, by default the current folder.

    Raises `StorageError` as `filesystem` does, so that a configuration is refused before it is printed.
    """
    checked(uri)
    return uri if "://" in uri else str(((base or Path.cwd()) / Path(uri).expanduser()).absolute())


def arrow_filesystem(uri: str) -> pyarrow.fs.FileSystem:
    """The file system of `uri` as Ray Train wants it, with our credentials and retries."""
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem(uri)[0]))


def join(uri: str, *parts: str) -> str:
    """`uri` with path components added."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


@contextmanager
def readable_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn what fsspec, s3fs and the operating system raise into one sentence about `uri`."""
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{uri} does not exist; check the URI.") from error
    except (ClientError, BotoCoreError) as error:
        raise StorageError(f"{doing} {uri} failed: {_cause(error)}.") from error
    except OSError as error:
        if _refused(error):
            raise StorageError(
                f"{doing} {uri} was refused; check the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE or the machine's "
                "role) and the rights they give."
            ) from error
        raise StorageError(f"{doing} {uri} failed: {error.strerror or error}.") from error


@contextmanager
def readable_causes(uri: str, doing: str) -> Iterator[None]:
    """The same where Ray reads and writes, whose own errors have those of the storage somewhere behind them."""
    try:
        yield
    except Exception as error:
        behind = list(causes(error))
        if not any(isinstance(one, UserError) for one in behind):
            for one in filter(_of_storage, behind):
                with readable_errors(uri, doing):
                    raise one from None
        raise


def _of_storage(error: BaseException) -> bool:
    """Whether a file system has raised this, and not what else uses files and connections."""
    if isinstance(error, ClientError | BotoCoreError):
        return True
    if not isinstance(error, OSError):
        return False
    return _refused(error) or error.errno in (errno.EIO, errno.EBUSY, errno.ENOSPC, errno.EROFS)


def _refused(error: OSError) -> bool:
    """Whether the storage knows us too little.

    S3 answers expired credentials with status 400 and says why in the body. Asked only what an object is (HEAD), it has
    no body, and s3fs makes these words of it.
    """
    return isinstance(error, PermissionError) or (error.errno == errno.EINVAL and error.strerror == "Bad Request")


def _cause(error: ClientError | BotoCoreError) -> str:
    """What went wrong at the S3 service and what to do about it."""
    name = type(error).__name__
    if "Credential" in name or "Token" in name:
        return "no valid credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
    if "Endpoint" in name or "Connect" in name:
        return "the storage service cannot be reached; check AWS_ENDPOINT_URL and the network"
    return str(error).rstrip(".")


def read_bytes(uri: str, anonymous: bool | None = None, most: int | None = None) -> bytes:
    """The file at `uri`: all of it, or its first `most` bytes. Raises `StorageError` when it is missing or refused."""
    fs, path = filesystem(uri, anonymous)
    with readable_errors(uri, "Reading"):
        try:
            data: bytes = fs.cat_file(path) if most is None else fs.cat_file(path, start=0, end=most)
        except OSError as error:
            if most is None or error.errno != errno.EINVAL or fs.size(path):
                raise
            return b""  # S3 refuses to give the first bytes of an empty file
    return data


def read_text(uri: str, anonymous: bool | None = None) -> str:
    """The whole UTF-8 file at `uri`. Raises `StorageError` when it is missing, refused or not UTF-8."""
    try:
        return read_bytes(uri, anonymous).decode()
    except UnicodeDecodeError as error:
        raise StorageError(f"{uri} is not a UTF-8 text file.") from error


def write_bytes(uri: str, data: bytes) -> None:
    """Write `data` as `uri` so that readers see the old file or the new one, never a part. Makes folders."""
    fs, path = filesystem(uri)
    if isinstance(fs, LocalFileSystem):
        with writing(uri) as file:
            file.write(data)
    else:
        with readable_errors(uri, "Writing"):
            fs.pipe_file(path, data)  # object stores make an object visible only when it is whole


@contextmanager
def writing(uri: str) -> Iterator[BinaryIO]:
    """A local file for what is too long for `write_bytes`: when the body has ended well, it becomes `uri`."""
    fs, path = filesystem(uri)
    with readable_errors(uri, "Writing"):
        if isinstance(fs, LocalFileSystem):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with _temporary(Path(path).parent) as file:
                yield file
                file.close()
                os.replace(file.name, path)
        else:
            with tempfile.TemporaryDirectory(prefix="physioclr-") as folder, _temporary(Path(folder)) as file:
                yield file
                file.close()
                fs.put_file(file.name, path)


@contextmanager
def _temporary(folder: Path) -> Iterator[BinaryIO]:
    """A new file in `folder`, which may be moved away, and is deleted if it is not. Its rights are those that the umask
    leaves, which `tempfile` does not heed."""
    path = folder / f".writing-{uuid.uuid4().hex}"
    try:
        with open(str(path), "xb") as file:
            yield file
    finally:
        path.unlink(missing_ok=True)


def write_text(uri: str, text: str) -> None:
    """Write UTF-8 `text` as `uri`, whole or not at all."""
    write_bytes(uri, text.encode())


def exists(uri: str, anonymous: bool | None = None) -> bool:
    """Whether there is a file or folder at `uri`. Raises `StorageError` when that may not be asked."""
    fs, path = filesystem(uri, anonymous)
    with readable_errors(uri, "Looking for"):
        return bool(fs.exists(path))


def list_files(uri: str, suffix: str = "", anonymous: bool | None = None) -> list[str]:
    """URIs of all files below `uri` that end with `suffix`, sorted. A folder that is not there has none."""
    fs, path = filesystem(uri, anonymous)
    with readable_errors(uri, "Listing"):
        try:
            found = fs.find(path)
        except FileNotFoundError:
            return []
    return sorted(unstrip(fs, uri, name) for name in found if name.endswith(suffix))


def unstrip(fs: fsspec.AbstractFileSystem, uri: str, path: str) -> str:
    """A path of `fs` in the form `uri` was given in: with its scheme, or bare for a local folder."""
    return path if "://" not in uri else str(fs.unstrip_protocol(path))


def remove(uri: str) -> None:
    """Delete the file or folder at `uri`; nothing happens when it is not there."""
    fs, path = filesystem(uri)
    with readable_errors(uri, "Deleting"):
        if fs.exists(path):
            fs.rm(path, recursive=True)


def check_arrived(folder: Path, uri: str) -> None:
    """Raise `StorageError` unless every file of the local `folder` is below `uri` as long as it should be.

    What copies through pyarrow is not told when the last bytes find no space: it learns of that in closing the file.
    """
    fs, path = filesystem(uri)
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        name, size = file.relative_to(folder).as_posix(), file.stat().st_size
        with readable_errors(join(uri, name), "Writing"):
            there = fs.info(f"{path}/{name}")["size"]
        if there != size:
            raise StorageError(
                f"Writing {join(uri, name)} failed: {there:,} of {size:,} bytes have arrived; is there no space left?"
            )


def upload(folder: Path, uri: str) -> None:
    """Copy every file of the local `folder` below `uri`."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        write_bytes(join(uri, file.relative_to(folder).as_posix()), file.read_bytes())
