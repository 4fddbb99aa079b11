from physioclr.ecg.snomed import SCORED_CLASSES, canonical, merge_labels


def test_26_classes_hold_30_codes():
    codes = [code for scored in SCORED_CLASSES for code in scored.codes]
    assert len(SCORED_CLASSES) == 26
    assert len(codes) == len(set(codes)) == 30
    assert len({scored.abbreviation for scored in SCORED_CLASSES}) == 26


def test_class_order_is_that_of_the_score_weights():
    order = (
        "164889003 164890007 6374002 426627000 733534002 713427006 270492004 713426002 39732003 445118002 164947007 "
    )
    order += "251146004 111975006 698252002 426783006 284470004 10370003 365413008 427172004 164917005 47665007 "
    order += "427393009 426177001 427084000 164934002 59931005"
    assert [scored.codes[0] for scored in SCORED_CLASSES] == order.split()


def test_the_four_equivalent_pairs_are_merged():
    pairs = {"59118001": "713427006", "63593006": "284470004", "17338001": "427172004", "164909002": "733534002"}
    for code, kept in pairs.items():
        assert canonical(code) == canonical(kept) == kept
    assert sum(len(scored.codes) == 2 for scored in SCORED_CLASSES) == len(pairs)


def test_labels_outside_the_table_stay_as_they_are():
    assert canonical("164931005") == "164931005"  # ST elevation, not scored
    assert canonical("arrhythmia, ours") == "arrhythmia, ours"


def test_merged_labels_are_trimmed_unique_and_in_order():
    assert merge_labels([" 63593006", "284470004", "", "own word", "59118001 "]) == (
        "284470004",
        "own word",
        "713427006",
    )
