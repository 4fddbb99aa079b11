"""The published archives themselves: `PHYSIOCLR_DATA` names a folder with `ptb-xl`, `challenge-2021`, and so on."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from physioclr.config import SourceConfig
from physioclr.ecg.scp import STATEMENTS, superclasses
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording
from physioclr.sources.registry import open_source

pytestmark = pytest.mark.real


def archive(kind, name):
    folder = Path(os.environ.get("PHYSIOCLR_DATA", "")) / name
    if "PHYSIOCLR_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"PHYSIOCLR_DATA does not name a folder with {name}")
    return open_source(SourceConfig(kind=kind, uri=str(folder), name=name))


def outcomes(source, refs):
    """Kept recordings, windows of them, and rejections by reason."""
    counts, windows = Counter(), 0
    for ref in refs:
        try:
            windows += len(standardise(source.read(ref)).windows)
            counts["kept"] += 1
        except RejectedRecording as error:
            counts[error.reason] += 1
    return counts, windows


@pytest.mark.parametrize(("name", "unit"), [("ptb-xl", "mV"), ("ptb-xl-z", "NU")])
def test_ptb_xl_is_read_as_published(name, unit):
    source = archive("ptb-xl", name)
    refs = source.list()
    assert all(code in STATEMENTS for ref in refs for code in ref.statements)
    assert all(ref.labels for ref in refs if {"SR", "NORM", "AFIB"} & set(ref.statements))
    assert {"NORM", "MI", "STTC", "CD", "HYP"} == {cls for ref in refs for cls in superclasses(ref.statements)}
    (window,) = standardise(source.read(refs[0])).windows
    assert window.unit == unit
    limbs = window.signal[:6].astype(float)  # Einthoven: I + III = II tells whether leads are where they should be
    if unit == "mV":
        np.testing.assert_allclose(limbs[0] + limbs[2], limbs[1], atol=20)
    assert outcomes(source, refs[:100]) == (Counter(kept=100), 100)


def test_the_challenge_is_read_as_published():
    source = archive("challenge-2021", "challenge-2021")
    refs = source.list()
    counts, windows = outcomes(source, refs)
    assert counts["kept"] > 0.9 * len(refs)
    assert set(counts) <= {"kept", "flat_lead"}
    assert windows > counts["kept"]  # some are longer than 20 s
    labels = [source.read(ref).ref.labels for ref in refs[:20]]
    assert all(labels)
    assert all(code.isdigit() for codes in labels for code in codes)


def test_bad_signals_are_rejected_more_often_than_good_ones():
    source = archive("wfdb", "cinc2011-set-a")
    table = Path(source.uri, "quality.csv").read_text().split()[1:]
    quality = {line.split(",")[0]: line.split(",")[3] for line in table}
    by_quality = {word: [] for word in ("acceptable", "unacceptable", "indeterminate")}
    for ref in source.list():
        by_quality[quality[ref.record_id.rpartition("/")[2]]].append(ref)
    good, _ = outcomes(source, by_quality["acceptable"][:150])
    bad, _ = outcomes(source, by_quality["unacceptable"][:150])
    assert good["kept"] > 0.9 * 150
    assert bad["kept"] < 0.3 * 150


def test_a_plain_folder_in_lower_case_with_every_gain_its_own_is_read():
    source = archive("wfdb", "ludb")
    refs = source.list()
    assert outcomes(source, refs) == (Counter(kept=len(refs)), len(refs))
