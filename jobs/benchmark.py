"""Measure the software: a table, and as the last line the same figures as one JSON object.

python jobs/benchmark.py ingest                     # rates of preparing, and of training from storage and memory
python jobs/benchmark.py probe encoder=URI prepared=URI tasks='[superclasses, afib]'
"""

from __future__ import annotations

import sys

from physioclr.config import IngestBenchmark, ProbeBenchmark
from physioclr.pipeline import cli
from physioclr.pipeline.benchmark_ingest import ingest_benchmark
from physioclr.pipeline.benchmark_probe import probe_benchmark

BENCHMARKS: cli.Benchmarks = {"ingest": (IngestBenchmark, ingest_benchmark), "probe": (ProbeBenchmark, probe_benchmark)}

if __name__ == "__main__":
    sys.exit(cli.run_benchmark("Measure the software.", BENCHMARKS))
