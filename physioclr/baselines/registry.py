"""From a configuration to the method it names."""

from __future__ import annotations

from physioclr.baselines.cmsc import CMSC
from physioclr.baselines.config import (
    CMSCMethod,
    MaskedMethod,
    MethodConfig,
    PhysioCLRMethod,
    SimCLRMethod,
    ThreeKGMethod,
)
from physioclr.baselines.masked import MaskedReconstruction
from physioclr.baselines.objective import Baseline
from physioclr.baselines.two_views import SimCLR, ThreeKG
from physioclr.baselines.wav2vec import Wav2Vec
from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.method.objective import PhysioCLR

Objective = PhysioCLR | Baseline


def open_objective(model: ModelConfig, objective: ObjectiveConfig, method: MethodConfig) -> Objective:
    """The method that `method.name` says, with an untrained encoder of `model`.

    `objective` is PhysioCLR's and no one else reads it. Raises ConfigError where the sizes do not fit together.
    """
    match method:
        case PhysioCLRMethod():
            return PhysioCLR(model, objective)
        case SimCLRMethod():
            return SimCLR(model, method)
        case CMSCMethod():
            return CMSC(model, method)
        case ThreeKGMethod():
            return ThreeKG(model, method)
        case MaskedMethod():
            return MaskedReconstruction(model, method)
        case _:
            return Wav2Vec(model, method)
