"""The grouped results against NumPy called on one group after the other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.grouped import Grouped, share

NAN = np.nan
RESULTS = {
    "mean": (1, np.mean),
    "deviation": (2, lambda values: np.std(values, ddof=1)),
    "median": (1, np.median),
    "minimum": (1, np.min),
    "spread": (2, lambda values: np.median(np.abs(values - np.median(values)))),
}

groups_of_numbers = st.lists(
    st.lists(st.one_of(st.just(NAN), st.integers(-3, 3).map(float), st.floats(-1e3, 1e3)), max_size=25), max_size=6
)


def grouped(groups: list[list[float]]) -> Grouped:
    group = np.repeat(np.arange(len(groups)), [len(values) for values in groups])
    return Grouped.of(np.array([v for values in groups for v in values], dtype=float), group, len(groups))


@given(groups_of_numbers, st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_each_group_is_what_numpy_makes_of_its_numbers(groups: list[list[float]], q: float) -> None:
    found = grouped(groups)
    for i, values in enumerate(groups):
        known = np.array([v for v in values if not np.isnan(v)])
        for name, (needed, by_numpy) in RESULTS.items():
            expected = by_numpy(known) if len(known) >= needed else NAN
            np.testing.assert_allclose(getattr(found, name)()[i], expected, rtol=1e-9, atol=1e-9, err_msg=name)
        expected = np.quantile(known, q) if len(known) else NAN
        np.testing.assert_allclose(found.quantile(q)[i], expected, rtol=1e-9, atol=1e-9)


@given(groups_of_numbers)
@settings(max_examples=100, deadline=None)
def test_a_group_is_the_same_alone_to_the_last_bit(groups: list[list[float]]) -> None:
    together = grouped(groups)
    for i, values in enumerate(groups):
        alone = grouped([values])
        for name in RESULTS:
            np.testing.assert_array_equal(getattr(together, name)()[i], getattr(alone, name)()[0], err_msg=name)
        np.testing.assert_array_equal(together.quantile(0.75)[i], alone.quantile(0.75)[0])


def test_the_order_of_the_groups_in_the_list_does_not_matter() -> None:
    mixed = Grouped.of(np.array([5.0, 1.0, NAN, 3.0, 2.0]), np.array([2, 0, 1, 2, 0]), 4)
    np.testing.assert_array_equal(mixed.mean(), [1.5, NAN, 4.0, NAN])
    np.testing.assert_array_equal(mixed.count, [2, 0, 2, 0])


def test_share_is_of_those_among() -> None:
    of, among = np.array([True, True, False, True]), np.array([True, False, True, True])
    np.testing.assert_array_equal(share(of, among, np.array([0, 0, 0, 2]), 3), [0.5, NAN, 1.0])
