"""Where training workers find room: machines, what each holds, and what no cluster like this can ever place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from physioclr.config import TrainingConfig
from physioclr.errors import RunError

_KIND = re.compile(r"(\d+)x(\d+)c(\d+)g")


@dataclass(frozen=True)
class Machine:
    """`count` machines of one kind, each with so many CPUs and GPUs."""

    count: int
    cpus: float
    gpus: int

    def holds(self, cpus: float, gpu: bool) -> int:
        """How many workers of so many CPUs and, with `gpu`, one GPU, one of these machines has room for."""
        room = int((self.cpus + 1e-9) // cpus)
        return min(room, self.gpus) if gpu else room


def kinds(label: str) -> tuple[Machine, ...]:
    """Machines from a label such as `8x16c0g.4x8c1g`: up to 8 of 16 CPUs, and 4 of 8 CPUs and a GPU.

    A label of Ray and of Kubernetes has letters, digits, dots, `-` and `_`. Raises `RunError` for anything else.
    """
    read = [_KIND.fullmatch(one) for one in label.split(".")]
    if None in read:
        raise RunError(
            f"The label physioclr/may-come of the cluster's head is {label!r}, which is not like 8x16c0g.4x8c1g (8 "
            "machines of 16 CPUs, 4 of 8 CPUs and 1 GPU); mend it where the cluster is described."
        )
    return tuple(Machine(int(one[1]), float(one[2]), int(one[3])) for one in read if one)


def total(machines: Sequence[Machine]) -> dict[str, float]:
    """CPUs of all of them, and the GPUs that have a CPU beside them: a worker on a GPU needs some of one too."""
    return {
        "CPU": float(sum(one.count * one.cpus for one in machines)),
        "GPU": float(sum(one.count * one.gpus for one in machines if one.cpus > 0)),
    }


@dataclass(frozen=True)
class Workers:
    """What Ray Train is asked for: `count` workers of `cpus` CPUs and, with `gpu`, one GPU each; at least `fewest`."""

    count: int
    cpus: float
    gpu: bool
    fewest: int

    @property
    def elastic(self) -> bool:
        """Whether the run goes on with fewer."""
        return self.fewest < self.count

    @property
    def resources(self) -> dict[str, float]:
        """Of one worker, as Ray counts them."""
        return {"CPU": self.cpus} | ({"GPU": 1.0} if self.gpu else {})


def hints(training: TrainingConfig, machines: Sequence[Machine], uris: Sequence[str]) -> Iterator[str]:
    """What is allowed, but perhaps not meant."""
    gpus = total(machines)["GPU"]
    if training.device == "auto" and 0 < gpus < training.fewest:
        yield (
            f"Training on CPUs: there are {gpus:.0f} GPUs for training.workers={training.fewest}; "
            f"set training.workers={gpus:.0f} to use them."
        )
    many = sum(one.count for one in machines)
    local = [uri for uri in uris if "://" not in uri]
    if many > 1 and local:
        yield f"{', '.join(local)} must be a folder that all {many} machines of the cluster share."


def room(
    training: TrainingConfig, machines: Sequence[Machine], workers: int, parallel: int | None
) -> tuple[int, float]:
    """How many runs of so many workers stand side by side, and the CPUs of each worker; one CPU is left for data.

    `parallel`: how many are asked for; without it one a GPU, or as many as the CPUs allow. Raises `RunError` where
    they leave no CPU to read data, or no machine holds a worker.
    """
    there = total(machines)
    gpus = there["GPU"] if training.device != "cpu" else 0.0
    fit = gpus // workers if gpus >= workers else there["CPU"] // (workers * (training.cpus_per_worker or 1.0))
    at_once = parallel or max(int(fit), 1)
    count, gpu = at_once * workers, gpus >= workers
    spare = there["CPU"] - 1.0
    cpus = training.cpus_per_worker or _that_fit(machines, min(spare / count, 8.0), count, gpu)
    if cpus <= 0 or cpus * count > spare + 1e-9:
        raise RunError(
            f"{at_once} runs at once of {workers} workers with {cpus:g} CPUs leave none of the cluster's "
            f"{there['CPU']:g} CPUs to read data; lower parallel or pretrain.training.workers, or add machines."
        )
    _refuse_what_no_machine_holds(machines, cpus, workers, gpu)
    return at_once, cpus


def place_workers(training: TrainingConfig, machines: Sequence[Machine]) -> Workers:
    """Resources of each training worker, leaving CPUs for Ray Data, which would otherwise starve for ever.

    Raises `RunError` when the machines cannot hold the workers and one CPU for data beside them.
    """
    there = total(machines)
    gpu = training.device == "gpu" or (training.device == "auto" and there["GPU"] >= training.fewest)
    if gpu and there["GPU"] < training.fewest:
        raise RunError(
            f"training.workers is {training.fewest} on GPUs, but the cluster has {there['GPU']:.0f} with CPUs beside "
            "them; lower training.workers, set training.device=cpu, or add machines."
        )
    if training.fewest < training.most:
        return _place_elastic(training, machines, gpu)
    count = training.most
    spare = there["CPU"] - 1.0
    cpus = training.cpus_per_worker or _that_fit(machines, min(spare / 2 / count, 8.0), count, gpu)
    if cpus <= 0 or cpus * count > spare + 1e-9:
        raise RunError(
            f"{count} training workers of {cpus:g} CPUs leave none of the cluster's "
            f"{there['CPU']:g} CPUs to read data; set training.workers x training.cpus_per_worker to at most "
            f"{max(spare, 0):g}, or add machines."
        )
    _refuse_what_no_machine_holds(machines, cpus, count, gpu)
    return Workers(count, cpus, gpu, count)


def _place_elastic(training: TrainingConfig, machines: Sequence[Machine], gpu: bool) -> Workers:
    """Workers whose number changes: their CPUs are not made from those that happen to be there, and as Ray Train may
    take every CPU for them, reading asks for none (`feed.py`)."""
    cpus = training.cpus_per_worker or 1.0
    _refuse_what_no_machine_holds(machines, cpus, training.fewest, gpu)
    return Workers(training.most, cpus, gpu, training.fewest)


def _held(machines: Sequence[Machine], cpus: float, gpu: bool) -> int:
    """How many workers there is room for."""
    return sum(one.count * one.holds(cpus, gpu) for one in machines)


def _that_fit(machines: Sequence[Machine], most: float, count: int, gpu: bool) -> float:
    """The most CPUs, up to `most`, that each of `count` workers may have so that the machines hold them all; whole ones
    from 1 on. `most` itself where no number will do."""
    shares = {one.cpus / k for one in machines for k in range(1, count + 1)} | {most}
    fitting = [share for share in shares if 0 < share <= most and _held(machines, share, gpu) >= count]
    cpus = max(fitting, default=most)
    return float(int(cpus)) if cpus >= 1 else cpus


def _refuse_what_no_machine_holds(machines: Sequence[Machine], cpus: float, count: int, gpu: bool) -> None:
    """Raises `RunError`: Ray would wait for such a machine for ever."""
    held = _held(machines, cpus, gpu)
    if held < count:
        has = ", ".join(
            f"{one.count} of {one.cpus:g} CPUs" + (f" and {one.gpus} GPUs" if one.gpus else "") for one in machines
        )
        raise RunError(
            f"Training asks for {count} workers of {cpus:g} CPUs{' and a GPU' if gpu else ''} each, but the cluster's "
            f"machines ({has}) hold {held} of them; lower training.cpus_per_worker or training.workers, or add "
            "machines."
        )
