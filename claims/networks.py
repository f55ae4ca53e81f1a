"""The networks of the claims: random weights that behave like trained ones, as a run and as a sealed bundle.

Trained weights of the source are not public, and speed hardly depends on weights. Errors do: random networks as they
are usually drawn amplify rounding so much that float16 fails on them. With their normalisation shifted, so that most
units stay active, errors are those of trained networks.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from ctpdeploy.atomic import atomic_folder
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Bundle, read_case
from ctpdeploy.runtime.bundle.bundle import FileDigest, Network
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks import SwitchNorm2d, load_chain, save_networks
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.run_folder import RunFolder
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import Split

__all__ = ["CEILINGS", "DIRECT", "case_folder", "gflop", "half_bundle", "random_bundle", "random_chain"]

SYSTEM: Final = "dwi_olh"
GFLOP_FULL: Final = 289.3
"""Of a 256 x 256 slice at width 64: twice the multiplications of all convolutions of the three networks."""
THREE_BY_THREE: Final = 0.955
"""Share of it in 3 x 3 convolutions."""

DIRECT: Final = "direct convolutions"
CEILINGS: Final[Mapping[str, float]] = {
    DIRECT: 1.0,
    "Winograd F(4x4, 3x3), products alone": THREE_BY_THREE / 4 + (1 - THREE_BY_THREE),
}
"""Products that an algorithm needs, as a share of those of direct convolutions. At the speed of the matrix product they
take the least time that it can: convolutions are matrix products too, and what else it does is left out."""

_REFERENCE_SLICES, _SEED, _FRAMES = 2, 20180916, 40

_SHIFT: Final = 1.0
"""Of normalised units, in their standard deviations."""
_LESION: Final = 0.1
"""Share of the pixels."""
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


def random_chain(folder: Path, *, width: int, size: int) -> Chain:
    """The networks of the run in ``folder``, which is made if it is not there."""
    run = _run(folder, width, size)
    if not run.exists():
        constants = PreprocessConfig(slice_shape=(size, size))
        sample = read_case(case_folder(folder, size=size, slices=_REFERENCE_SLICES, frames=_FRAMES))
        config = TrainConfig(system=SYSTEM, width=width, preprocess=constants)
        chain = _drawn(config, preprocess(sample, constants)[0])
        RunFolder(run).begin(config, Split(train=(), validation=()), "random weights")
        checkpoint = run / "checkpoints" / "best"
        checkpoint.mkdir()
        save_networks(checkpoint, dict(chain.named_children()), chain.wiring)
    return load_chain(run / "checkpoints" / "best")


def random_bundle(folder: Path, *, width: int, size: int) -> Path:
    """The bundle of :func:`random_chain`, in float32, made if it is not there.

    Raises:
        MissingPackageError: a package that exports is not installed.
        GateError: the export differs from the networks.
    """
    from ctpdeploy.export import ExportOptions, export_run

    bundle = folder / f"random-{width}-{size}-fp32.ctpbundle"
    random_chain(folder, width=width, size=size)
    if not bundle.exists():
        sample = read_case(case_folder(folder, size=size, slices=_REFERENCE_SLICES, frames=_FRAMES))
        export_run(_run(folder, width, size), bundle, [sample], options=ExportOptions(allow_poor=True))
    return bundle


def half_bundle(full: Path) -> Path:
    """A bundle with its convolutions in half, beside it and made if it is not there; unproven, who runs it checks."""
    import onnx

    from ctpdeploy.export.half import to_half

    target = full.with_name(full.name.replace("fp32", "fp16"))
    if target.exists():
        return target
    with Bundle.open(full) as bundle, atomic_folder(target) as folder:
        networks: dict[str, Network] = {}
        for name, network in bundle.networks.items():
            model = to_half(onnx.load(bundle.network_file(name)))
            onnx.save(model, folder / network.file)
            sealed = FileDigest.of(folder / network.file)
            networks[name] = replace(network, **vars(sealed), nodes=len(model.graph.node))
        for name in bundle.files:
            (folder / name).write_bytes((bundle.folder / name).read_bytes())
        replace(bundle, folder=folder, source=target, networks=networks, precision="fp16").write_manifest()
    return target


def _run(folder: Path, width: int, size: int) -> Path:
    return folder / f"random-{width}-{size}"


def _drawn(config: TrainConfig, batch: SliceBatch) -> Chain:
    """Weights by Kaiming's rule, normalisation shifted, and running statistics of a batch's slices."""
    torch.manual_seed(0)
    chain = make_chain(SYSTEMS[SYSTEM], config)
    for parameter in chain.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    for module in chain.modules():
        if isinstance(module, nn.BatchNorm2d | SwitchNorm2d):
            nn.init.constant_(module.bias, _SHIFT)
    coarse = max(1, batch.frames.shape[-1] // _SMALLEST)
    frames, features = (torch.from_numpy(x[..., ::coarse, ::coarse]) for x in (batch.frames, batch.features))
    with torch.no_grad():
        for _ in range(_PASSES):
            chain.train()(frames, features)
        _find_lesions(chain.eval(), torch.from_numpy(batch.frames), torch.from_numpy(batch.features))
    return chain


def _find_lesions(chain: Chain, frames: Tensor, features: Tensor) -> None:
    """Shift the last layer so that a share of the pixels is lesion: empty masks prove nothing."""
    layers = [module for module in chain.get_submodule("segmenter").modules() if isinstance(module, nn.Conv2d)]
    (last,) = (layer for layer in layers if layer.out_channels == 2)
    logits = chain(frames, features)["logits"]
    last.bias[1] -= (logits[:, 1] - logits[:, 0]).quantile(1 - _LESION)
