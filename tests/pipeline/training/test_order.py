"""The order of training samples: every row once in a pass, the same for the same seed, well mixed."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from physioclr.pipeline.training.order import Plan, pass_order

groups = st.lists(st.integers(1, 9), min_size=1, max_size=30).map(tuple)


@given(groups, st.integers(1, 8), st.integers(0, 5), st.integers(0, 5))
def test_a_pass_is_a_permutation_and_a_function_of_seed_and_number(
    group_rows: tuple[int, ...], mix: int, seed: int, number: int
) -> None:
    order = pass_order(group_rows, mix, seed, number)
    assert sorted(order.tolist()) == list(range(sum(group_rows)))
    pass_order.cache_clear()
    np.testing.assert_array_equal(order, pass_order(group_rows, mix, seed, number))


def test_passes_and_seeds_give_different_orders() -> None:
    sizes = (8,) * 20
    orders = [pass_order(sizes, 4, seed, number).tolist() for seed in range(2) for number in range(3)]
    assert len({tuple(order) for order in orders}) == 6


def test_a_window_mixes_its_row_groups_and_no_others() -> None:
    order = pass_order((10,) * 12, 3, 0, 0)
    for start in range(0, 120, 30):
        window = order[start : start + 30]
        assert len(set((window // 10).tolist())) == 3
        assert len(set((window[:10] // 10).tolist())) > 1, "the first batch of a window comes from several groups"


@given(groups, *(st.integers(1, most) for most in (4, 3, 5, 4, 4)), st.data())
def test_spans_cover_the_rest_of_the_run_once_in_whole_grains(
    group_rows: tuple[int, ...], grains: int, grain: int, epochs: int, mix: int, passes: int, data: st.DataObject
) -> None:
    plan = Plan(group_rows, grains * grain, epochs, mix, seed=1, passes=passes)
    if not plan.steps_per_epoch:
        return
    step = data.draw(st.integers(0, plan.steps_per_epoch * epochs))
    start = step * plan.batch_size
    spans = list(plan.spans(start, grain))
    covered = [position for first, last in spans for position in range(first, last)]
    assert covered == list(range(start, plan.samples))
    for first, last in spans:
        assert (last - first) % grain == 0
        assert first // plan.epoch_samples == (last - 1) // plan.epoch_samples
    rows = [row for first, last in spans for row in plan.rows(first, last)]
    for epoch in range(epochs):
        inside = [row for position, row in zip(covered, rows, strict=True) if position // plan.epoch_samples == epoch]
        assert max(Counter(inside).values(), default=0) <= passes, "no row twice in a pass"


def test_an_epoch_of_several_passes_is_one_pass_after_the_other_cut_into_whole_batches() -> None:
    plan = Plan((3, 4), batch_size=4, epochs=2, mix=2, seed=5, passes=3)
    assert plan.steps_per_epoch == 5, "of 21 rows; 3 if each pass were cut for itself"
    for epoch in range(2):
        orders = np.concatenate([pass_order((3, 4), 2, 5, 3 * epoch + one) for one in range(3)])
        first = epoch * plan.epoch_samples
        assert plan.rows(first, first + 20).tolist() == orders[:20].tolist()
        assert plan.rows(first + 6, first + 9).tolist() == orders[6:9].tolist()
