"""Benchmarks that tell the truth: what a bundle costs on this machine, stage by stage, and how far it could go.

Outputs are checked before anything is timed; what is compared takes turns in random order; every figure stands beside
the machine's own speed of the same rounds. Nothing here needs torch.
"""

from ctpdeploy.benchmark.results import Results
from ctpdeploy.benchmark.suite import Plan, chosen_backends, run_benchmark

__all__ = ["Plan", "Results", "chosen_backends", "run_benchmark"]
