import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.delineation import WAVES, Delineation, align, in_order, without_waves

NAN = np.nan
R = np.array([500, 1000, 1500])


def waves(**changed: list[float]) -> dict[str, np.ndarray]:
    """Three well-formed beats, with some points changed."""
    offsets = dict(zip(WAVES, (-100, -80, -60, -25, 25, 100, 150, 200), strict=True))
    points = {wave: R + float(offset) for wave, offset in offsets.items()}
    return points | {wave: np.array(values, dtype=float) for wave, values in changed.items()}


def same(a: np.ndarray, b: list[float]) -> bool:
    return np.array_equal(a, np.array(b, dtype=float), equal_nan=True)


def test_points_in_place_stay() -> None:
    assert same(align([420, 920, 1420], R, before_r=True), [420, 920, 1420])


def test_a_list_that_lost_its_first_point_is_placed_by_position() -> None:
    assert same(align([920, 1420], R, before_r=True), [NAN, 920, 1420])
    assert same(align([650, 1650], R, before_r=False), [650, NAN, 1650])


def test_a_point_of_another_beat_is_not_taken() -> None:
    assert same(align([420, 1420, NAN], R, before_r=True), [420, NAN, NAN])


def test_of_two_points_the_nearer_to_r_stays() -> None:
    assert same(align([380, 420, 920, 1420], R, before_r=True), [420, 920, 1420])


def test_empty_and_missing_lists() -> None:
    assert same(align([], R, before_r=True), [NAN] * 3)
    assert same(align([NAN, NAN], R, before_r=False), [NAN] * 3)


@given(st.lists(st.one_of(st.floats(0, 2000), st.just(NAN)), max_size=12), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_aligned_point_is_one_of_the_given_and_lies_in_its_beat(points: list[float], before: bool) -> None:
    aligned = align(points, R, before_r=before)
    bounds = [-np.inf, *R, np.inf]
    for beat, point in enumerate(aligned):
        if not np.isnan(point):
            assert point in points
            low, high = (bounds[beat], bounds[beat + 1]) if before else (bounds[beat + 1], bounds[beat + 2])
            assert low <= point <= high


def test_good_order_is_left_alone() -> None:
    kept = in_order(waves(), R)
    assert all(np.array_equal(kept[wave], waves()[wave]) for wave in WAVES)


@pytest.mark.parametrize(
    ("wave", "bad", "also_lost"),
    [
        ("p_onset", 450, ()),  # after the P peak
        ("p_peak", 490, ("p_onset", "p_offset")),  # inside the QRS: then its bounds are nothing
        ("p_offset", 480, ()),  # inside the QRS
        ("qrs_onset", 510, ()),  # after R
        ("qrs_offset", 490, ()),  # before R
        ("t_onset", 510, ()),  # inside the QRS
        ("t_peak", 520, ("t_onset", "t_offset")),
        ("t_offset", 640, ()),  # before the T peak
    ],
)
def test_an_impossible_point_goes_alone(wave: str, bad: float, also_lost: tuple[str, ...]) -> None:
    points = waves()
    points[wave] = np.array([bad, *points[wave][1:]])
    kept = in_order(points, R)
    for name in WAVES:
        lost = name == wave or name in also_lost
        assert np.isnan(kept[name][0]) == lost, name
        assert np.array_equal(kept[name][1:], waves()[name][1:]), name


def test_a_p_wave_on_the_t_wave_before_it_is_dropped() -> None:
    kept = in_order(waves(p_peak=[420, 640, 1420], p_onset=[400, 620, 1400]), R)
    assert same(kept["p_peak"], [420, NAN, 1420])
    assert same(kept["t_peak"], [650, 1150, 1650])


def test_intervals_have_both_ends_and_come_in_order() -> None:
    points = waves(p_offset=[NAN, 940, 1440])
    intervals = Delineation(r_peaks=R, status="ok", **points).intervals()
    assert intervals.dtype == np.int64
    assert intervals.tolist()[:3] == [[1, 475, 525], [2, 600, 700], [0, 900, 940]]  # QRS, T, P
    assert len(intervals) == 8
    assert (np.diff(intervals[:, 1]) > 0).all()


def test_without_waves_has_no_intervals() -> None:
    assert without_waves(R, "delineation_failed").intervals().shape == (0, 3)
    assert without_waves(R[:0], "no_beats").intervals().shape == (0, 3)
