"""What a run went through: how often its workers were started anew, after what, and what had to be done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from physioclr.pipeline.training.board import BEGUN, PREEMPTION, STARTED
from physioclr.pipeline.training.metrics_log import Row

WORDS = {STARTED: "of the job", "failure": "after failures", PREEMPTION: "by preemption", "resize": "to change size"}


def interruptions(rows: Iterable[Row], batch_size: int) -> dict[str, Any]:
    """Facts for the summary from the metrics rows. What was lost with a job itself is not known, and not counted."""
    begun = [row for row in rows if row["kind"] == BEGUN][1:]
    causes = Counter(row["after"] for row in begun)
    return {
        "restarts": len(begun),
        "restarts_after": dict(causes),
        "preemptions": causes[PREEMPTION],
        "lost_steps": sum(row["lost_samples"] for row in begun) // batch_size,
    }


def told(summary: dict[str, Any]) -> dict[str, str]:
    """A line for the table of a run that was interrupted."""
    if not summary.get("restarts"):
        return {}
    causes = ", ".join(f"{count} {WORDS[cause]}" for cause, count in summary["restarts_after"].items())
    return {"restarts": f"{summary['restarts']} ({causes}); {summary['lost_steps']:,} steps were done again"}
