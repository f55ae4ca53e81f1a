"""The networks that benchmarks run: random weights of sensible scale, as a trained run and as a sealed bundle.

No trained weights of the source exist to be published, and speed does not depend on them, apart from one thing:
weights of a wrong scale end in zeros or infinities, which some processors add up faster or slower than numbers.
"""

from pathlib import Path
from typing import Final

import torch

from ctpdeploy.export import ExportOptions, export_run
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.preprocess import PreprocessConfig, SliceBatch, preprocess
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks import load_chain, save_networks
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.run import RunFolder
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import Split
from ctpdeploy.train.systems import SYSTEMS

__all__ = ["case_folder", "gflop", "random_bundle", "random_chain"]

SYSTEM: Final = "dwi_olh"
GFLOP_FULL: Final = 289.3
"""Of a 256 x 256 slice at width 64: twice the multiplications of all convolutions of the three networks."""

_REFERENCE_SLICES, _SEED = 2, 20180916

_PASSES, _SMALLEST = 3, 64
"""Over so many batches, of slices no larger than this, running statistics are collected."""


def gflop(width: int, size: int) -> float:
    """Of one slice: direct convolutions of the three networks, in 1e9 operations."""
    return GFLOP_FULL * (width / 64) ** 2 * (size / 256) ** 2


def case_folder(folder: Path, *, size: int, slices: int, frames: int) -> Path:
    """A synthetic patient on disk, made once."""
    patients = folder / f"patients-{size}-{slices}-{frames}"
    if not patients.exists():
        write_dataset(patients, cases=1, seed=_SEED, config=PhantomConfig(size=size, slices=slices, frames=frames))
    return patients / "case_1"


def random_chain(width: int, batch: SliceBatch) -> Chain:
    """Weights drawn by Kaiming's rule, with running statistics of a batch's slices."""
    torch.manual_seed(0)
    chain = make_chain(SYSTEMS[SYSTEM], TrainConfig(system=SYSTEM, width=width))
    for parameter in chain.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    coarse = max(1, batch.frames.shape[-1] // _SMALLEST)
    frames, features = (torch.from_numpy(x[..., ::coarse, ::coarse]) for x in (batch.frames, batch.features))
    with torch.no_grad():
        for _ in range(_PASSES):
            chain.train()(frames, features)
    return chain.eval()


def random_bundle(folder: Path, *, width: int, size: int, precision: str = "fp32") -> tuple[Chain, Path]:
    """A chain with random weights and the bundle exported from it; both are kept in ``folder`` for the next time.

    Raises:
        GateError: the export differs from the networks.
    """
    run = folder / f"random-{width}-{size}"
    bundle = folder / f"random-{width}-{size}-{precision}.ctpbundle"
    constants = PreprocessConfig(slice_shape=(size, size))
    sample = read_case(case_folder(folder, size=size, slices=_REFERENCE_SLICES, frames=40))
    checkpoint = run / "checkpoints" / "best"
    if not run.exists():
        chain = random_chain(width, preprocess(sample, constants))
        config = TrainConfig(system=SYSTEM, width=width, preprocess=constants)
        RunFolder(run).begin(config, Split(train=(), validation=()), "random weights")
        checkpoint.mkdir()
        save_networks(checkpoint, dict(chain.named_children()), chain.wiring)
    if not bundle.exists():
        export_run(run, bundle, [sample], options=ExportOptions(precision=precision))
    return load_chain(checkpoint), bundle
