"""What training asks of a cluster's machines, and what it refuses."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from physioclr.config import TrainingConfig
from physioclr.errors import RunError
from physioclr.pipeline.training.placement import Machine, kinds, place_workers, room, total


def test_workers_leave_cpus_for_data() -> None:
    for cpus in (2, 4, 16, 64):
        for count in (1, 2, 8):
            workers = place_workers(TrainingConfig(workers=count, batch_size=32), [Machine(1, cpus, 0)])
            assert workers.count == count
            assert not workers.gpu
            assert workers.cpus * count <= cpus - 1


def test_gpus_are_used_when_there_is_one_for_each_worker() -> None:
    assert place_workers(TrainingConfig(workers=2), [Machine(1, 16, 2)]).gpu
    assert not place_workers(TrainingConfig(workers=2), [Machine(1, 16, 1)]).gpu
    assert not place_workers(TrainingConfig(workers=2, device="cpu"), [Machine(1, 16, 8)]).gpu


def test_elastic_workers_do_not_depend_on_what_happens_to_be_there() -> None:
    for cpus in (1, 3, 16):
        workers = place_workers(TrainingConfig(workers=(1, 3), batch_size=12), [Machine(1, cpus, 0)])
        assert (workers.fewest, workers.count, workers.resources) == (1, 3, {"CPU": 1.0})
    assert place_workers(TrainingConfig(workers=(1, 4), batch_size=12), [Machine(1, 8, 2)]).gpu
    assert not place_workers(TrainingConfig(workers=(2, 2), batch_size=12), [Machine(1, 8, 0)]).elastic


@pytest.mark.parametrize(
    ("training", "machines", "message"),
    [
        ({"workers": 4, "device": "gpu"}, [Machine(1, 32, 2)], "4 on GPUs, but the cluster has 2"),
        ({"workers": 4, "cpus_per_worker": 2}, [Machine(1, 8, 0)], "to at most 7"),
        ({"workers": 1}, [Machine(1, 1, 0)], "leave none of the cluster's 1 CPUs"),
        ({"workers": [2, 4], "batch_size": 12, "cpus_per_worker": 4}, [Machine(1, 7, 0)], "hold 1 of them"),
        ({"workers": 1, "cpus_per_worker": 4}, [Machine(8, 2, 0)], r"machines \(8 of 2 CPUs\) hold 0 of them; lower"),
        (
            {"workers": 2, "cpus_per_worker": 6},
            [Machine(9, 16, 0), Machine(1, 8, 2)],
            "and a GPU each.* hold 1 of them",
        ),
        ({"workers": [2, 4], "batch_size": 12, "device": "gpu"}, [Machine(1, 7, 1)], "is 2 on GPUs, but the cluster"),
    ],
)
def test_what_can_never_be_placed_is_refused(
    training: dict[str, object], machines: list[Machine], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        place_workers(TrainingConfig.model_validate(training), machines)


MACHINES = st.lists(
    st.builds(Machine, st.integers(1, 4), st.integers(0, 64), st.integers(0, 8)), min_size=1, max_size=4
)


@given(
    machines=MACHINES,
    count=st.integers(1, 8),
    cpus=st.none() | st.floats(0.25, 20),
    device=st.sampled_from(["cpu", "auto"]),
)
def test_workers_find_room_one_by_one_or_are_refused(
    machines: list[Machine], count: int, cpus: float | None, device: Literal["cpu", "auto"]
) -> None:
    training = TrainingConfig(workers=count, batch_size=840, cpus_per_worker=cpus, device=device)
    try:
        workers = place_workers(training, machines)
    except RunError:
        return
    free = [[one.cpus, one.gpus] for one in machines for _ in range(one.count)]
    for _ in range(count):
        place = next(one for one in free if one[0] >= workers.cpus - 1e-6 and one[1] >= workers.gpu)
        place[0] -= workers.cpus
        place[1] -= workers.gpu
    assert sum(one[0] for one in free) >= 1 - 1e-6, "a CPU is left for data"


@given(machines=MACHINES, count=st.integers(1, 8))
@example(machines=[Machine(1, 0, 1), Machine(1, 2, 0)], count=1)
def test_cpus_of_nobodys_choice_are_such_as_there_are(machines: list[Machine], count: int) -> None:
    """On many small machines, a share of all CPUs is more than any machine has."""
    if total(machines)["CPU"] > 1:
        place_workers(TrainingConfig(workers=count, batch_size=840, device="cpu"), machines)
        place_workers(TrainingConfig(workers=count, batch_size=840), machines)


def test_a_worker_gets_no_more_than_a_machine_has() -> None:
    assert place_workers(TrainingConfig(workers=1), [Machine(8, 1, 0)]).cpus == 1
    assert place_workers(TrainingConfig(workers=4), [Machine(8, 16, 0), Machine(1, 16, 4)]).cpus == 4
    assert room(TrainingConfig(), [Machine(8, 2, 0)], workers=1, parallel=2) == (2, 2)
    with pytest.raises(RunError, match="hold 0 of them"):
        room(TrainingConfig(cpus_per_worker=3), [Machine(8, 2, 0)], workers=1, parallel=2)


def test_a_label_says_what_may_come() -> None:
    assert kinds("8x16c0g.4x8c1g") == (Machine(8, 16, 0), Machine(4, 8, 1))
    for label in ("8x16c", "8x16c0g,4x8c1g", "", "8 x 16c0g"):
        with pytest.raises(RunError, match="which is not like 8x16c0g"):
            kinds(label)
