"""From a source's configuration to the source."""

from __future__ import annotations

from physioclr.config import SourceConfig
from physioclr.sources.base import Source
from physioclr.sources.challenge_2021 import Challenge2021
from physioclr.sources.demo.source import DemoSource
from physioclr.sources.mimic_iv_ecg import MimicIvEcg
from physioclr.sources.ptb_xl import PtbXl
from physioclr.sources.wfdb_folder import WfdbFolder


def open_source(config: SourceConfig) -> Source:
    """The source that `config.kind` names. Nothing is read yet."""
    match config.kind:
        case "ptb-xl":
            return PtbXl(config)
        case "mimic-iv-ecg":
            return MimicIvEcg(config)
        case "challenge-2021":
            return Challenge2021(config)
        case "wfdb":
            return WfdbFolder(config)
        case "demo":
            return DemoSource(config)
