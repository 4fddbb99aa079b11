import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.delineation import STATUSES, USABLE, WAVES, Delineation, align, in_order, without_waves

NAN = np.nan
R = np.array([500, 1000, 1500])
ONE = np.zeros(3, dtype=np.int64)


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
    kept = in_order(waves(), R, ONE)
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
    kept = in_order(points, R, ONE)
    for name in WAVES:
        lost = name == wave or name in also_lost
        assert np.isnan(kept[name][0]) == lost, name
        assert np.array_equal(kept[name][1:], waves()[name][1:]), name


def test_a_p_wave_on_the_t_wave_before_it_is_dropped() -> None:
    kept = in_order(waves(p_peak=[420, 640, 1420], p_onset=[400, 620, 1400]), R, ONE)
    assert same(kept["p_peak"], [420, NAN, 1420])
    assert same(kept["t_peak"], [650, 1150, 1650])


def test_a_t_wave_that_the_next_beat_has_begun_in_is_dropped() -> None:
    kept = in_order(waves(t_offset=[980, 1200, 1700]), R, ONE)  # the second beat's QRS begins at 975
    assert same(kept["t_offset"], [NAN, 1200, 1700])
    kept = in_order(waves(t_peak=[980, 1150, 1650], t_offset=[990, 1200, 1700]), R, ONE)
    assert same(kept["t_peak"], [NAN, 1150, 1650])
    assert same(kept["t_offset"], [NAN, 1200, 1700])
    assert same(kept["p_peak"], waves()["p_peak"].tolist())
    touching = in_order(waves(t_offset=[975, 1200, 1700]), R, ONE)
    assert same(touching["t_offset"], [975, 1200, 1700])


def one(**changed: list[float]) -> Delineation:
    return Delineation.from_points(ONE, R, waves(**changed), 1)


def test_the_t_wave_of_another_segment_is_not_before() -> None:
    both = {wave: np.tile(points, 2) for wave, points in waves().items()}
    kept = in_order(both, np.tile(R, 2), np.repeat([0, 1], 3))  # the last T of the first lies after all P
    assert all(np.array_equal(kept[wave], both[wave]) for wave in WAVES)


@st.composite
def wild_points(draw: st.DrawFn) -> list[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """R peaks and waves of some segments, points anywhere or missing, now and then no beats at all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    segments = []
    for beats in draw(st.lists(st.integers(0, 6), max_size=5)):
        r = np.sort(rng.choice(2400, beats, replace=False))
        points = r + np.arange(-60.0, 61.0, 16.0)[:, None] + rng.integers(-60, 61, (8, beats))
        points[rng.random(points.shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = NAN
        segments.append((r, dict(zip(WAVES, points, strict=True))))
    return segments


def equal(a: Delineation, b: Delineation) -> bool:
    names = ("segment", "r_peaks", *WAVES)
    arrays = all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in names)
    return arrays and a.status == b.status


@given(wild_points())
@settings(max_examples=200, deadline=None)
def test_many_segments_are_each_what_they_are_alone(segments: list[tuple[np.ndarray, dict[str, np.ndarray]]]) -> None:
    parts = [Delineation.from_points(np.zeros(len(r), np.int64), r, points, 1) for r, points in segments]
    joined = Delineation.join(parts)
    together = Delineation.from_points(
        joined.segment,
        joined.r_peaks,
        {wave: np.concatenate([np.empty(0), *(points[wave] for _, points in segments)]) for wave in WAVES},
        len(segments),
    )
    assert equal(together, joined)
    assert joined.segments == len(segments)
    for i, part in enumerate(parts):
        assert equal(joined.of(i), part)
        assert np.array_equal(joined.intervals(i), part.intervals(0))


@pytest.mark.parametrize(
    ("beats", "status"), [(0, "no_beats"), (1, "no_beats"), (2, "few_beats"), (3, "ok")], ids=lambda value: str(value)
)
def test_the_number_of_beats_gives_the_status(beats: int, status: str) -> None:
    points = {wave: positions[:beats] for wave, positions in waves().items()}
    found = Delineation.from_points(ONE[:beats], R[:beats], points, 1)
    assert found.status == (status,)
    assert np.array_equal(found.r_peaks, R[:beats])
    assert np.isnan(found.t_peak).all() == (beats < 2)


def test_without_any_qrs_bound_there_are_no_waves() -> None:
    nothing = [NAN] * 3
    failed = one(qrs_onset=nothing, qrs_offset=nothing)
    assert failed.status == ("delineation_failed",)
    assert np.array_equal(failed.r_peaks, R)
    assert all(np.isnan(getattr(failed, wave)).all() for wave in WAVES)
    assert one(qrs_onset=nothing, qrs_offset=[525, NAN, NAN]).status == ("ok",)


def test_a_poor_segment_has_no_beats_and_the_others_stay() -> None:
    found = Delineation.join([one(), one(), without_waves(R[:1], "no_beats")])
    left = found.without(np.array([True, False, False]))
    assert left.status == ("poor_quality", "ok", "no_beats")
    assert not len(left.of(0).r_peaks)
    assert not len(left.intervals(0))
    assert equal(left.of(1), found.of(1))
    assert equal(left.of(2), found.of(2))
    assert "poor_quality" in STATUSES
    assert "poor_quality" not in USABLE


def test_no_segments_are_a_batch_too() -> None:
    none = Delineation.join([])
    assert none.segments == 0
    assert none.r_peaks.dtype == none.segment.dtype == np.int64
    assert equal(none, Delineation.from_points(ONE[:0], R[:0], {wave: np.empty(0) for wave in WAVES}, 0))


def test_segments_are_counted_as_in_a_list() -> None:
    found = Delineation.join([without_waves(R[:1], "no_beats"), one()])
    assert equal(found.of(-1), one())
    assert np.array_equal(found.intervals(-1), one().intervals(0))
    for ask in (one().of, one().intervals):
        with pytest.raises(IndexError):
            ask(1)


def test_intervals_have_both_ends_and_come_in_order() -> None:
    found = Delineation.join([one(), one(p_offset=[NAN, 940, 1440])])
    assert len(found.intervals(0)) == 9
    intervals = found.intervals(1)
    assert intervals.dtype == np.int64
    assert intervals.tolist()[:3] == [[1, 475, 525], [2, 600, 700], [0, 900, 940]]  # QRS, T, P
    assert len(intervals) == 8
    assert (np.diff(intervals[:, 1]) > 0).all()


def test_without_waves_has_no_intervals() -> None:
    assert without_waves(R, "delineation_failed").intervals(0).shape == (0, 3)
    assert without_waves(R[:0], "no_beats").intervals(0).shape == (0, 3)
