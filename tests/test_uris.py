"""URIs that are refused: with credentials in them, which are never shown, and those that do more than name a place."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from physioclr import storage
from physioclr.config import PretrainConfig
from physioclr.configfile import load
from physioclr.errors import StorageError
from physioclr.pipeline import cli
from physioclr.pipeline.run import with_absolute_uris
from physioclr.uris import checked, redacted

SECRET = "wJalrXUtnFEMI"
WITH_SECRETS = [
    f"s3://AKIAEXAMPLE:{SECRET}@bucket/ecg",
    f"s3://AKIAEXAMPLE:{SECRET}/K7MDENG+x@bucket/ecg",
    f"s3://{SECRET}@bucket",
    f"https://host/ecg?X-Amz-Signature={SECRET}&x=1",
    f"https://host/ecg?x=1&token={SECRET}",
    f"abfs://container@account/ecg?sig={SECRET}",
]
PLAIN = ["/data/ecg", "work/a@b", "s3://bucket/a@b/c", "http://127.0.0.1:9000/a@b", "s3://bucket/a:b", "gs://bucket"]


@pytest.mark.parametrize("uri", WITH_SECRETS)
def test_credentials_are_refused_and_not_shown(uri: str) -> None:
    for refuses in (checked, storage.absolute, storage.filesystem, storage.read_bytes):
        with pytest.raises(StorageError, match=r"\*\*\*.* has credentials in it.* leave them out") as caught:
            refuses(uri)
        assert SECRET not in str(caught.value)
    assert SECRET not in redacted(f"'{uri}' failed")


@pytest.mark.parametrize("uri", PLAIN)
def test_what_has_none_stays(uri: str) -> None:
    assert checked(uri) == redacted(uri) == uri


@pytest.mark.parametrize(
    "key", ["output", "start", "dataset.uri", "dataset.sources.0.uri", "dataset.sources.0.labels_csv"]
)
def test_a_configuration_with_credentials_is_refused_before_it_is_printed(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    word = f"{key}={WITH_SECRETS[0]}"
    code = cli.guarded(lambda: cli.resolved(PretrainConfig, None, [word], cli.job_console()) and None)
    printed = capsys.readouterr()
    assert code == 2
    assert "has credentials in it" in printed.err
    assert SECRET not in printed.out + printed.err


@pytest.mark.parametrize("word", ["dataset.sources.7.uri={}", "{}", "nam={}", "training.epochs={}", "x: y: [{}"])
def test_no_error_about_a_word_shows_credentials_in_it(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = word.format(WITH_SECRETS[0])
    assert cli.guarded(lambda: with_absolute_uris(load(PretrainConfig, None, [given])) and None) == 2
    assert SECRET not in capsys.readouterr().err


def test_a_configuration_cannot_make_fsspec_follow_instructions(tmp_path: Path) -> None:
    """`reference::` fetches what a JSON file says, by templates that execute code."""
    (tmp_path / "there.json").write_text('{"version": 1, "templates": {"u": "x"}, "refs": {"a": "outside"}}')
    chain = f"reference::{tmp_path}/there.json"
    assert fsspec.core.url_to_fs(chain)[0].cat_file("a") == b"outside", "fsspec would"
    for uri in (chain, "simplecache::s3://bucket/ecg", "reference://a"):
        with pytest.raises(StorageError, match="is no plain URI"):
            storage.read_bytes(uri)
