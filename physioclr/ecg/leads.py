"""The 12 standard leads and how files spell them. Leads are found by name, never position (arXiv 2509.08116: input)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from physioclr.errors import RejectedRecording

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# EDF+ writes "ECG I", DICOM "Lead I"; MIT-BIH calls the torso-electrode limb leads MLI..MLIII; Brazilian and
# Spanish recorders (the CODE study) write DI..DIII.
_PREFIX = re.compile(r"^(ecg|ekg|lead)[\s_:-]*(?=\S)")
_ALIASES = {"mli": "i", "mlii": "ii", "mliii": "iii", "di": "i", "dii": "ii", "diii": "iii"}


def lead_order(names: Sequence[str]) -> NDArray[np.int64]:
    """Where each of the 12 `LEADS` stands in `names`: int64 [12]. Other leads (Frank's, say) are passed over.

    Letter case, spaces and the prefixes of EDF+ and DICOM do not matter. Raises `RejectedRecording("missing_leads")`
    that says which leads are missing, and `("header_mismatch")` when a lead is there twice.
    """
    spelled = [_plain(name) for name in names]
    wanted = [lead.lower() for lead in LEADS]
    missing = [lead for lead in LEADS if lead.lower() not in spelled]
    if missing:
        raise RejectedRecording("missing_leads", f"no lead {', '.join(missing)} among {len(names)} signals")
    twice = [lead for lead in LEADS if spelled.count(lead.lower()) > 1]
    if twice:
        raise RejectedRecording("header_mismatch", f"lead {', '.join(twice)} is there more than once")
    return np.array([spelled.index(lead) for lead in wanted], dtype=np.int64)


def _plain(name: str) -> str:
    """A lead's name in lower case, without prefix, spaces, hyphens and underscores."""
    bare = re.sub(r"[\s_-]", "", _PREFIX.sub("", name.strip().lower()))
    return _ALIASES.get(bare, bare)
