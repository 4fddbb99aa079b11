"""Which recording goes where: by patient, and by nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from physioclr.config import PrepareConfig, SplitConfig
from physioclr.ecg.record import RecordingRef
from physioclr.pipeline.prepare.layout import lay_out, plan_entries, plan_table, split_of, units_of


def refs(patients: list[int]) -> list[tuple[int, RecordingRef]]:
    return [
        (0, RecordingRef(f"r{index:05d}", "demo", f"/r{index}", f"demo/{patient}", ("1",), (), 50.0, "female"))
        for index, patient in enumerate(patients)
    ]


many_patients = st.lists(st.integers(0, 40), min_size=1, max_size=120)


@given(many_patients, st.integers(0, 3))
def test_every_recording_is_in_one_shard_and_no_patient_in_two_splits(patients: list[int], seed: int) -> None:
    config = PrepareConfig(shard_recordings=7, split=SplitConfig(validation=0.3, test=0.3, seed=seed))
    entries = refs(patients)
    shards = lay_out(entries, config)
    assert {entry for shard in shards for entry in shard.entries} == set(entries)
    assert sum(len(shard.entries) for shard in shards) == len(entries)
    splits: dict[str, set[str]] = {}
    for shard in shards:
        assert 1 <= len(shard.entries) <= 7
        for _, ref in shard.entries:
            splits.setdefault(ref.patient_id, set()).add(shard.split)
    assert all(len(found) == 1 for found in splits.values())


@given(many_patients, st.randoms())
def test_the_layout_does_not_depend_on_the_order_of_the_index(patients: list[int], random) -> None:  # type: ignore[no-untyped-def]
    entries = refs(patients)
    shuffled = list(entries)
    random.shuffle(shuffled)
    config = PrepareConfig(shard_recordings=9)
    assert lay_out(entries, config) == lay_out(shuffled, config)


def test_a_patients_recordings_lie_side_by_side_in_an_order_that_is_not_the_indexs() -> None:
    entries = refs([patient for patient in range(60) for _ in range(3)])
    (shard,) = list(lay_out(entries, PrepareConfig(split=SplitConfig(validation=0, test=0))))
    order = [ref.patient_id for _, ref in shard.entries]
    starts = list(range(0, len(order), 3))
    assert all(len(set(order[start : start + 3])) == 1 for start in starts)
    assert order != sorted(order, key=lambda patient: int(patient.split("/")[1]))


def test_the_split_has_the_shares_that_were_asked_for_and_stays_when_patients_are_added() -> None:
    config = SplitConfig(validation=0.1, test=0.2)
    splits = [split_of(f"p/{number}", config) for number in range(20_000)]
    assert abs(splits.count("test") / 20_000 - 0.2) < 0.01
    assert abs(splits.count("validation") / 20_000 - 0.1) < 0.01
    assert splits[:100] == [split_of(f"p/{number}", config) for number in range(100)]


def test_units_cover_a_shard_and_plans_come_back_as_they_were() -> None:
    units = list(units_of("train-00000", "train", 23, 5))
    assert [(unit.start, unit.stop) for unit in units] == [(0, 5), (5, 10), (10, 15), (15, 20), (20, 23)]
    assert len({unit.name for unit in units}) == 5
    (shard,) = lay_out(refs([1, 1, 2]), PrepareConfig(split=SplitConfig(validation=0, test=0)))
    assert tuple(plan_entries(plan_table(shard))) == shard.entries
