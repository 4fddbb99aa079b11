import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.ecg.record import REJECTION_REASONS
from physioclr.errors import RejectedRecording
from physioclr.sources.wfdb_header import parse_header

LINE = "r.dat 16 1000(0)/mV 16 0 0 0 0"


def header(record="r 2 500 5000", lines=(f"{LINE} I", f"{LINE} II"), comments=""):
    return "\n".join([record, *lines, comments]).encode()


def rejection(data):
    with pytest.raises(RejectedRecording) as caught:
        parse_header(data)
    return caught.value


def outcome(data):
    """The rejection of `data`, or None when it is a header; any other error is a failure."""
    try:
        parse_header(data)
    except RejectedRecording as error:
        return error
    return None


def test_a_header_gives_rate_length_files_and_facts():
    parsed = parse_header(header(comments="#Age: 61\n#Sex: Female\n#Dx: 164889003,59118001"))
    assert (parsed.fs, parsed.samples, parsed.files) == (500.0, 5000, ("r.dat",))
    assert (parsed.labels, parsed.age, parsed.sex) == (("164889003", "713427006"), 61.0, "female")


@pytest.mark.parametrize(
    ("record", "fs", "samples"),
    [
        ("r 2 257 2570", 257.0, 2570),
        ("r 2 360/360(0) 3600 12:00:00 31/02/1999", 360.0, 3600),  # a date that does not exist
        ("r 2 500.5 0 05-Feb-2020", 500.5, 0),
        ("r 2 1000", 1000.0, 0),
    ],
)
def test_record_lines_with_more_or_less_in_them(record, fs, samples):
    parsed = parse_header(header(record))
    assert (parsed.fs, parsed.samples) == (fs, samples)


@pytest.mark.parametrize("comment", ["# Dx: 164889003", "#<dx>: 164889003", "#DX:164889003, Unknown, John Smith"])
def test_only_snomed_codes_become_labels(comment):
    assert parse_header(header(comments=comment)).labels == ("164889003",)


@pytest.mark.parametrize(("age", "expected"), [("NaN", None), ("Unknown", None), ("-1", None), ("300", 90.0), ("7", 7)])
def test_unknown_ages_are_none_and_never_a_number(age, expected):
    assert parse_header(header(comments=f"#Age: {age}")).age == expected


@pytest.mark.parametrize("unit", ["µV".encode(), "μV".encode(), "µV".encode("latin-1")])
def test_every_spelling_of_micro_is_understood(unit):
    data = header().replace(b"mV", unit)
    assert all("/uV" in signal.rest for signal in parse_header(data).signals)


@pytest.mark.parametrize(
    "name",
    [
        "../r.dat",
        "/etc/passwd",
        "a/r.dat",
        "..",
        "~r.dat",
        "C:r.dat",
        "..\\r.dat",
        ".ssh",
        "s3://b/r.dat",
        "a%2Fb",
        "-|sh",
        "r..dat",
    ],
)
def test_file_names_that_are_not_plain_are_refused(name):
    assert rejection(header(lines=(f"{LINE} I", f"{name}{LINE[5:]} II"))).reason == "unsafe_path"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable_header"),
        (b"#only comments\n", "unreadable_header"),
        (b"\x00\x01\x02", "unreadable_header"),
        (b"r\n", "unreadable_header"),
        (b"x" * 70_000, "unreadable_header"),
        (header("r/3 2 500 5000"), "unreadable_header"),
        (header("r 2 500 many"), "unreadable_header"),
        (header("r 0 500 5000", lines=()), "unreadable_header"),
        (header("r 9999 500 5000"), "unreadable_header"),
        (header("r 2"), "bad_sampling_rate"),
        (header("r 2 0 5000"), "bad_sampling_rate"),
        (header("r 2 -500 5000"), "bad_sampling_rate"),
        (header("r 3 500 5000"), "header_mismatch"),
        (header("r 1 500 5000"), "header_mismatch"),
        (header(lines=(LINE, "r.dat 212 1000")), "header_mismatch"),
        (header(lines=(LINE, "r.dat 16x0 1000")), "header_mismatch"),
        (header(lines=(LINE, "r.dat 99 1000")), "unreadable_header"),
        (header(lines=(LINE, "r.dat")), "unreadable_header"),
        (header("r 2 500 999999999999"), "unreadable_signal"),
        (header(lines=(LINE, "r.dat 16:999999999 1000")), "header_mismatch"),
        (header(lines=("r.dat 16+999999999 1000", "r.dat 16+999999999 1000")), "header_mismatch"),
    ],
)
def test_what_is_wrong_with_a_header_is_named(data, reason):
    assert rejection(data).reason == reason


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120) | st.text(max_size=120).map(str.encode))
def test_any_bytes_are_a_header_or_a_rejection(data):
    error = outcome(data)
    assert error is None or error.reason in REJECTION_REASONS


FIELDS = st.sampled_from(
    [
        "r",
        "12",
        "500",
        "5000",
        "r.dat",
        "16",
        "16x2:3+4",
        "212",
        "1000(0)/mV",
        "0",
        "-1",
        "1e9",
        "Smith",
        "..",
        "#Smith",
        "",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(FIELDS, max_size=10).map(" ".join), max_size=15))
def test_rejections_of_near_headers_never_quote_their_text(lines):
    assert "Smith" not in str(outcome("\n".join(lines).encode()))
