"""Measure the software: a table, and as the last line the same figures as one JSON object.

python jobs/benchmark.py ingest                     # rates of preparing, and of training from storage and memory
python jobs/benchmark.py probe encoder=URI prepared=URI tasks='[superclasses, afib]'
python jobs/benchmark.py delineation data=URI       # P, QRS and T against cardiologists' annotations (LUDB)
python jobs/benchmark.py agreement data=URI         # beats and intervals of `batched` beside those of `neurokit`
python jobs/benchmark.py features data=URI          # rate and memory of measuring features, beside NeuroKit2's
python jobs/benchmark.py flops                      # arithmetic of a pretraining step, by size of the encoder
python jobs/benchmark.py noise data=URI             # what noise does to features and pairs
python jobs/benchmark.py operation                  # to the first step, after a worker was killed, for checkpoints
python jobs/benchmark.py pairs data=URI             # lead, missing values, components and delta, judged by labels
python jobs/benchmark.py scaling                    # preparing and training over workers, on the cluster that is there
"""

from __future__ import annotations

import sys

from physioclr.benchmarks.agreement import agreement_benchmark
from physioclr.benchmarks.config import (
    AgreementBenchmark,
    DelineationBenchmark,
    FeaturesBenchmark,
    FlopsBenchmark,
    IngestBenchmark,
    NoiseBenchmark,
    OperationBenchmark,
    PairsBenchmark,
    ProbeBenchmark,
    ScalingBenchmark,
)
from physioclr.benchmarks.delineation import delineation_benchmark
from physioclr.benchmarks.features import features_benchmark
from physioclr.benchmarks.flops import flops_benchmark
from physioclr.benchmarks.ingest import ingest_benchmark
from physioclr.benchmarks.noise import noise_benchmark
from physioclr.benchmarks.operation import operation_benchmark
from physioclr.benchmarks.pairs import pairs_benchmark
from physioclr.benchmarks.probe import probe_benchmark
from physioclr.benchmarks.scaling import scaling_benchmark
from physioclr.pipeline import cli

BENCHMARKS: cli.Benchmarks = {
    "agreement": (AgreementBenchmark, agreement_benchmark),
    "delineation": (DelineationBenchmark, delineation_benchmark),
    "features": (FeaturesBenchmark, features_benchmark),
    "flops": (FlopsBenchmark, flops_benchmark),
    "ingest": (IngestBenchmark, ingest_benchmark),
    "noise": (NoiseBenchmark, noise_benchmark),
    "operation": (OperationBenchmark, operation_benchmark),
    "pairs": (PairsBenchmark, pairs_benchmark),
    "probe": (ProbeBenchmark, probe_benchmark),
    "scaling": (ScalingBenchmark, scaling_benchmark),
}

if __name__ == "__main__":
    sys.exit(cli.run_benchmark("Measure the software.", BENCHMARKS))
