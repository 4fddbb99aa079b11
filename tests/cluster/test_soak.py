"""A long run on three hosts, while one thing after another goes wrong: it ends as it would have without.

For as many seconds as PHYSIOCLR_SOAK_SECONDS says (an hour: 3600); without it, it is skipped.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.cluster.conftest import Bed
from tests.cluster.lan import Host, wait_until
from tests.cluster.nodes import ENDED, Job, RayCluster
from tests.cluster.runs import check_whole, pretrain, rows, saved_step, starts

SECONDS = int(os.environ.get("PHYSIOCLR_SOAK_SECONDS", "0"))
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(3 * SECONDS + 1800),
    pytest.mark.skipif(not SECONDS, reason="PHYSIOCLR_SOAK_SECONDS is not set: 3600 for an hour of trouble"),
]
EPOCHS = max(SECONDS // 3, 4)  # more than such a time of trouble lets through
WORDS = ("training.workers=2", "training.batch_size=6", f"training.epochs={EPOCHS}", "training.max_failures=1000")
NOTICE_SECONDS = 30


class Trouble:
    """What goes wrong, once each time it is asked, by lot."""

    def __init__(self, bed: Bed, cluster: RayCluster, dice: random.Random) -> None:
        self.bed, self.cluster, self.dice = bed, cluster, dice
        self.happened: list[str] = []
        self._names = (f"h{number}" for number in range(10_000))
        self.hosts = [self._join() for _ in range(3)]

    def _join(self) -> Host:
        return self.cluster.join(next(self._names), cpus=2)

    def make(self) -> None:
        """One thing, and what follows it: a host that is gone is replaced."""
        kind = self.dice.choice([self.worker, self.host, self.notice, self.cable, self.failing, self.silence])
        self.happened.append(kind.__name__)
        kind()

    def worker(self) -> None:
        """A training process is killed."""
        found = [pid for host in self.hosts for pid in host.processes("RayTrainWorker")]
        if found:
            os.kill(self.dice.choice(found), signal.SIGKILL)

    def host(self) -> None:
        """A host loses its power."""
        self.hosts.pop(self.dice.randrange(len(self.hosts))).kill()
        self.hosts.append(self._join())

    def notice(self) -> None:
        """A host is taken away with a notice."""
        host = self.hosts.pop(self.dice.randrange(len(self.hosts)))
        self.cluster.drain(host, NOTICE_SECONDS)
        time.sleep(NOTICE_SECONDS)
        host.kill()
        self.hosts.append(self._join())

    def cable(self) -> None:
        """A host cannot be reached for a few seconds."""
        host = self.dice.choice(self.hosts)
        host.cut()
        time.sleep(self.dice.uniform(1, 6))
        host.mend()

    def failing(self) -> None:
        """A fifth of the requests to S3 fails for a while."""
        self.bed.s3.share = 0.2
        time.sleep(self.dice.uniform(5, 20))
        self.bed.s3.share = 0.0

    def silence(self) -> None:
        """S3 does not answer for a while."""
        self.bed.s3.silent.set()
        time.sleep(self.dice.uniform(5, 30))
        self.bed.s3.silent.clear()


def until_it_has_ended(job: Job, run: Path, seconds: float) -> Iterator[None]:
    """Again and again, as long as there is time and the run has not ended, each time it has got on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = saved_step(run)
        job.until(lambda before=before: saved_step(run) > before or job.status() in ENDED, 600, "a further checkpoint")
        if job.status() in ENDED or saved_step(run) >= 13 * (EPOCHS - 1):  # 13 steps an epoch
            return
        yield


def test_what_went_wrong_cannot_be_seen_afterwards(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    dice = random.Random(SECONDS)
    trouble = Trouble(bed, cluster, dice)
    pretrain(cluster, "calm", *WORDS).wait(SECONDS + 600)

    run = lake / "runs/soaked"
    job = pretrain(cluster, "soaked", *WORDS)
    for _ in until_it_has_ended(job, run, SECONDS):
        time.sleep(dice.uniform(0, 5))
        trouble.make()
    bed.s3.healthy()
    wait_until(lambda: len(cluster.alive()) >= 3, 120, "two hosts and the head")
    job.wait(SECONDS + 900)

    summary = check_whole(run, batch=6, epochs=EPOCHS)
    print(f"{len(trouble.happened)} troubles: {trouble.happened}; {summary['restarts']} restarts")
    assert len(trouble.happened) >= SECONDS / 200
    assert summary["restarts"] == len(starts(run)) - 1
    calm, soaked = (load_file(lake / f"runs/{name}/encoder/model.safetensors") for name in ("calm", "soaked"))
    assert all(torch.equal(calm[name], soaked[name]) for name in calm), "bit for bit"
    losses = [
        [(row["step"], row["loss"]) for row in rows(lake / f"runs/{name}", "step")] for name in ("calm", "soaked")
    ]
    assert losses[0] == losses[1]
