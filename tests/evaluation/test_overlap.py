from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, iirnotch, resample_poly, sosfiltfilt, tf2sos

from physioclr.config import SourceConfig
from physioclr.ecg.standardise import standardise
from physioclr.errors import UserError
from physioclr.evaluation.overlap import SAME_BITS, Identities, find_overlap, fingerprints, refuse_overlap
from physioclr.sources.registry import open_source


def _recordings(count: int, seed: int = 0) -> np.ndarray:
    """Beats at irregular times with leads of different shape, drift and noise: float64 [count, 12, 5000] in uV."""
    generator = np.random.default_rng(seed)
    time = np.arange(5000) / 500
    signals = np.empty((count, 12, 5000))
    for signal in signals:
        peaks = np.cumsum(generator.normal(0.8, 0.08, 14)) - generator.random()
        heights = generator.normal(0, 500, (12, 3))
        waves = [np.exp(-(((time[:, None] - peaks - lag) / width) ** 2)).sum(1) for lag, width in _WAVES]
        signal[:] = heights @ waves + generator.normal(0, 5, (12, 5000))
        signal += 200 * np.sin(2 * np.pi * 0.2 * time + generator.random((12, 1)))
    return signals


_WAVES = ((-0.16, 0.03), (0.0, 0.012), (0.25, 0.06))


def _bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.unpackbits(one[:, None] ^ other[None], axis=2).sum(axis=2)


def _forms(signal: np.ndarray) -> dict[str, np.ndarray]:
    filtered = sosfiltfilt(butter(4, (0.5, 40), "band", fs=500, output="sos"), signal, axis=2)
    normed = (filtered - filtered.mean(2, keepdims=True)) / filtered.std(2, keepdims=True)
    notch = tf2sos(*iirnotch(50, 30, fs=500))
    return {
        "itself": signal,
        "other unit": signal / 1000,
        "filtered and z-scored": np.rint(normed * 1000).astype(np.int16),
        "without mains": sosfiltfilt(notch, signal, axis=2),
        "through 100 Hz": resample_poly(resample_poly(signal, 1, 5, axis=2), 5, 1, axis=2),
        "coarse": np.rint(signal / 5) * 5,
        "with offset": signal + np.arange(12)[:, None] * 1000.0,
    }


def test_forms_of_one_recording_have_one_fingerprint_and_others_another() -> None:
    signal = _recordings(40)
    own = fingerprints(signal)
    assert own.shape == (40, 32)
    for name, form in _forms(signal).items():
        bits = _bits(own, fingerprints(form))
        assert np.diag(bits).max() <= SAME_BITS / 2, name
        assert bits[~np.eye(40, dtype=bool)].min() > 2 * SAME_BITS, name


def test_fingerprints_do_not_depend_on_how_many_are_made_at_once() -> None:
    signal = _recordings(70)
    singly = np.concatenate([fingerprints(each[None]) for each in signal])
    assert np.diag(_bits(fingerprints(signal), singly)).max() <= 1  # sums of float32 in another order
    assert fingerprints(signal[:0]).shape == (0, 32)


def _identities(rows: list[tuple[str, str, str]], prints: np.ndarray | None = None) -> Identities:
    datasets, records, patients = zip(*rows, strict=True)
    return Identities(datasets, records, patients, prints)


SEEN = [("ptb", "1", "ptb/a"), ("ptb", "2", "ptb/b"), ("other", "x", "other/q")]


def test_records_and_patients_are_known_by_their_dataset_and_id() -> None:
    test = [("ptb", "1", "ptb/a"), ("ptb", "9", "ptb/b"), ("new", "1", "new/a"), ("ptb", "x", "ptb/q")]
    found = find_overlap(_identities(SEEN), _identities(test))
    assert found.records.tolist() == [0]
    assert found.patients.tolist() == [0, 1]
    assert found.rows.tolist() == [0, 1]
    assert not found.contents_checked


def test_the_same_signal_under_another_name_is_found_and_tells_its_patients_other_recordings() -> None:
    signal = _recordings(5)
    pretraining = _identities(SEEN, fingerprints(signal[:3]))
    forms = _forms(signal)["filtered and z-scored"]
    rows = [("z", "7", "z/k"), ("z", "8", "z/m"), ("z", "9", "z/k")]
    found = find_overlap(pretraining, _identities(rows, fingerprints(forms[[3, 2, 1]])))
    assert found.contents.tolist() == [1, 2]
    assert found.twins.tolist() == [2, 1]
    assert found.records.tolist() == []
    assert found.patients.tolist() == [0, 1, 2]  # the first is another recording of the third's patient
    assert found.as_dict() == {
        "test_rows": 3, "found": 3, "by_record": 0, "by_patient": 3, "by_content": 2, "contents_checked": True,
        "patients_checked": True,
    }  # fmt: skip


ONE, TWO = "key-0123abcd/" + "1" * 20, "key-0123abcd/" + "2" * 20
OTHER_KEY = "key-fedc9876/" + "1" * 20


def test_a_pseudonym_is_the_same_patient_in_every_dataset() -> None:
    found = find_overlap(_identities([("ward", "1", ONE)]), _identities([("archive", "7", ONE), ("archive", "8", TWO)]))
    assert found.patients.tolist() == [0]
    assert found.patients_checked


@pytest.mark.parametrize(
    ("dataset", "patient", "checked"),
    [
        ("ward", OTHER_KEY, False),
        ("ward", "ward/a", False),
        ("ptb", "ptb/a", True),
        ("ptb", ONE, False),
        ("new", "new/a", True),
    ],
)
def test_patients_who_are_called_otherwise_are_said_not_to_be_checked(
    dataset: str, patient: str, checked: bool
) -> None:
    seen = _identities([("ward", "1", ONE), ("ptb", "1", "ptb/a")])
    found = find_overlap(seen, _identities([(dataset, "9", patient)]))
    assert found.patients_checked == found.as_dict()["patients_checked"] == checked


@pytest.mark.parametrize("pairs_at_once", [7, 1_000_000])
def test_exactly_those_that_differ_in_few_bits_are_found(monkeypatch: pytest.MonkeyPatch, pairs_at_once: int) -> None:
    monkeypatch.setattr("physioclr.evaluation.overlap.PAIRS", pairs_at_once)
    generator = np.random.default_rng(3)
    seen = generator.integers(0, 256, (60, 32), dtype=np.uint8)
    seen[40:] = seen[:20]  # the same recording twice: the first one is named
    bits = np.unpackbits(seen[generator.integers(0, 60, 200)], axis=1)
    for row in bits:
        row[generator.permutation(256)[: generator.integers(0, 30)]] ^= 1  # spread over all bands, or not at all
    bits[-1] = np.unpackbits(seen[7])
    bits[-1, :: 256 // SAME_BITS][:SAME_BITS] ^= 1  # as far as may be, in as many bands as there can be
    test = np.packbits(bits, axis=1)
    differing = _bits(test, seen)
    near = np.flatnonzero(differing.min(axis=1) <= SAME_BITS)
    assert 0 < len(near) < len(test)
    assert near[-1] == len(test) - 1
    names = [[("a", str(row), str(row)) for row in range(len(each))] for each in (seen, test)]
    found = find_overlap(_identities(names[0], seen), _identities(names[1], test))
    assert found.contents.tolist() == near.tolist()
    assert found.twins.tolist() == differing.argmin(axis=1)[near].tolist()


def test_sets_larger_than_a_chunk_are_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("physioclr.evaluation.overlap.CHUNK", 4)
    monkeypatch.setattr("physioclr.evaluation.overlap.PAIRS", 3)
    prints = fingerprints(_recordings(11))
    seen = _identities([("a", str(row), str(row)) for row in range(11)], prints)
    test = _identities([("b", str(row), str(row)) for row in range(11)], prints[::-1].copy())
    found = find_overlap(seen, test)
    assert found.contents.tolist() == list(range(11))
    assert found.twins.tolist() == list(range(10, -1, -1))


def test_overlap_is_refused_in_one_sentence_unless_it_is_allowed() -> None:
    found = find_overlap(_identities(SEEN), _identities([("ptb", "1", "ptb/a"), ("new", "1", "new/a")]))
    with pytest.raises(
        UserError, match=r"seen 1 of the 2 test recordings.*1 by record id.*allow_overlap=true"
    ) as error:
        refuse_overlap(found)
    assert "ptb/a" not in str(error.value)
    refuse_overlap(found, allowed=True)
    refuse_overlap(find_overlap(_identities(SEEN), _identities([("new", "1", "new/a")])))


def test_sizes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        Identities(["a"], ["1", "2"], ["p", "q"])
    with pytest.raises(ValueError, match="windows x 12"):
        fingerprints(np.zeros((2, 8, 5000)))


@pytest.mark.real
def test_recordings_that_are_in_two_archives_in_two_forms_are_found_and_no_others() -> None:
    root = os.environ.get("PHYSIOCLR_DATA")
    if root is None or not all((Path(root) / name).is_dir() for name in ("ptb-xl", "ptb-xl-z")):
        pytest.skip("PHYSIOCLR_DATA names no folder with ptb-xl and ptb-xl-z")
    plain, normed = (_real(Path(root) / name, 400) for name in ("ptb-xl", "ptb-xl-z"))
    found = find_overlap(normed, plain)
    names = {record.split("/")[-1]: row for row, record in enumerate(normed.record_ids)}
    shared = {
        row: names[name.split("/")[-1]] for row, name in enumerate(plain.record_ids) if name.split("/")[-1] in names
    }
    assert len(shared) > 50
    assert dict(zip(found.contents.tolist(), found.twins.tolist(), strict=True)) == shared
    assert not len(found.records)


def _real(folder: Path, count: int) -> Identities:
    source = open_source(SourceConfig(kind="ptb-xl", uri=str(folder), name=folder.name))
    refs = source.list()[:count]
    prints = np.concatenate([fingerprints(standardise(source.read(ref)).windows[0].signal[None]) for ref in refs])
    return Identities(
        [ref.dataset for ref in refs], [ref.record_id for ref in refs], [ref.patient_id for ref in refs], prints
    )
