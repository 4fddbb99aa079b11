import pytest
from hypothesis import given
from hypothesis import strategies as st

from physioclr.ecg.leads import LEADS, lead_order
from physioclr.errors import RejectedRecording

SPELLINGS = st.sampled_from([str, str.upper, str.lower, lambda lead: f" ECG {lead} ", lambda lead: f"Lead {lead}"])


@given(st.permutations([*LEADS, "Vx", "vy", "Pleth"]), st.lists(SPELLINGS, min_size=15, max_size=15))
def test_leads_are_found_by_name_in_any_order_and_spelling(names, spellings):
    order = lead_order([spell(name) for name, spell in zip(names, spellings, strict=True)])
    assert [names[index] for index in order] == list(LEADS)


def test_mimic_order_puts_avl_before_avf():
    order = lead_order(["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"])
    assert order.tolist() == [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]


def test_documented_aliases_stand_for_limb_leads():
    assert lead_order(["DI", "MLII", "DIII", *LEADS[3:]]).tolist() == list(range(12))


def test_missing_leads_are_named():
    with pytest.raises(RejectedRecording, match=r"missing_leads: no lead III, V6 among 10 signals"):
        lead_order([lead for lead in LEADS if lead not in ("III", "V6")])


def test_a_lead_that_is_there_twice_is_refused_and_not_chosen_from():
    with pytest.raises(RejectedRecording, match=r"header_mismatch: lead II "):
        lead_order([*LEADS, "ii"])
