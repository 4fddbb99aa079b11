"""Starts of the workers are counted with what each was due to and has cost."""

from __future__ import annotations

from physioclr.pipeline.training.board import FAILURE, PREEMPTION, Board
from physioclr.pipeline.training.interruptions import interruptions, told


def test_what_was_done_again_is_counted_by_cause() -> None:
    board = Board()
    assert [row["after"] for row in board.begin(0, 0, 3)] == ["start"]
    board.tell(40, "")
    board.blame(PREEMPTION)
    board.blame(FAILURE)  # the workers whose machine is gone fail: that is what the notice was of
    board.begin(8, 32, 2)
    board.tell(44, "")
    board.blame(FAILURE)
    board.begin(9, 36, 2)
    board.tell(60, "")
    rows = board.begin(15, 60, 3)
    assert [row["after"] for row in rows] == ["start", PREEMPTION, FAILURE, "resize"]
    assert [row["lost_samples"] for row in rows] == [0, 8, 8, 0]
    facts = interruptions([*rows, {"kind": "step", "step": 1}], batch_size=4)
    assert (facts["restarts"], facts["preemptions"], facts["lost_steps"]) == (3, 1, 4)
    line = "3 (1 by preemption, 1 after failures, 1 to change size); 4 steps were done again"
    assert told(facts) == {"restarts": line}


def test_a_calm_run_says_nothing() -> None:
    assert told(interruptions(Board().begin(0, 0, 1), batch_size=4)) == {}


def test_the_listener_reads_each_row_once() -> None:
    board = Board()
    board.begin(0, 0, 1)
    board.add({"kind": "epoch", "epoch": 1})
    assert [row["kind"] for row in board.read(0)[2]] == ["begun", "epoch"]
    assert [row["kind"] for row in board.read(1)[2]] == ["epoch"]
