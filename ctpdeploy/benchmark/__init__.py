"""The benchmark of a bundle on this machine: costs by stage, beside the ceilings of the machine.

Outputs are checked before anything is timed; what is compared takes turns in random order; every figure stands beside
the machine's own speed of the same rounds. Nothing here needs torch.
"""

from ctpdeploy.benchmark.results import Results
from ctpdeploy.benchmark.suite import Plan, chosen_backends, run_benchmark

__all__ = ["Plan", "Results", "chosen_backends", "run_benchmark"]
