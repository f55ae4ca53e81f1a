"""A narrow trained network made wide: equal outputs, at the cost of one that was trained at full width.

Speed is measured at full width, but the work behind the networks depends on the mask, and random weights make one of
thousands of specks. Training at full width takes days on a processor, a narrow network minutes. So each channel inside
becomes several equal ones, side by side, and whatever sums over them has its weights divided by their number (Net2Wider
of Chen et al., 2016). Statistics of a channel are those of its copies, and means over channels stay what they were:
but for rounding, Switchable Normalization, Squeeze-and-Excitation and so the whole function are kept.
"""

from dataclasses import replace
from pathlib import Path

from networks import case_folder
from torch import nn

from ctpdeploy.errors import UsageError
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train import PRESETS, train
from ctpdeploy.train.networks import Network, load_chain, save_networks
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.run_folder import RunFolder

__all__ = ["wide_bundle", "widen_chain", "widen_network", "widen_run"]

_SLICES, _FRAMES = 2, 40
"""Of the patient that the gate compares on."""
_PATIENTS, _SEED, _SIZE = 40, 1, 128


def wide_bundle(folder: Path, *, width: int, size: int, run: Path | None = None) -> Path:
    """The bundle of a trained run at another width and size of the slices, in float32, made if it is not there.

    Args:
        folder: where to.
        width: of the bundle, a multiple of the run's.
        size: rows and columns of a whole slice. Networks run at any size; trained at half of it, they still draw
            lesions. Of a run with a field around the head, the field stays, in pixels that are as much smaller.
        run: trained on phantoms; by default one that is trained here, in a few minutes.

    Raises:
        UsageError: the width is no multiple of the run's.
        MissingPackageError: a package that exports is not installed.
        GateError: the export differs from the networks.
    """
    from ctpdeploy.export import ExportOptions, export_run

    bundle = folder / f"widened-{width}-{size}-fp32.ctpbundle"
    if not bundle.exists():
        wide = folder / f"widened-{width}-{size}"
        if not wide.exists():
            widen_run(run or _trained(folder), wide, width=width, size=size)
        sample = read_case(case_folder(folder, size=size, slices=_SLICES, frames=_FRAMES))
        export_run(wide, bundle, [sample], options=ExportOptions(allow_poor=True))
    return bundle


def widen_run(narrow: Path, wide: Path, *, width: int, size: int) -> None:
    """Make a run folder with the best networks of another at another width and size of the slices.

    Raises:
        UsageError: the width is no multiple of that of the run.
    """
    source = RunFolder(narrow)
    config = source.config()
    factor, rest = divmod(width, config.width)
    if rest:
        raise UsageError(f"The width {width} is no multiple of {config.width}, that of the run in {narrow}.")
    chain = widen_chain(load_chain(source.checkpoint("best")), factor)
    constants = _finer(config.preprocess, size)
    RunFolder(wide).begin(replace(config, width=width, preprocess=constants), source.split(), "widened")
    checkpoint = wide / "checkpoints" / "best"
    checkpoint.mkdir()
    save_networks(checkpoint, dict(chain.named_children()), chain.wiring)


def _finer(constants: PreprocessConfig, size: int) -> PreprocessConfig:
    """The grid of whole slices of that many pixels, or the same field around the head in pixels as much smaller."""
    if not constants.pixel_mm:
        return replace(constants, slice_shape=(size, size))
    rows, columns = (size * pixels // _SIZE for pixels in constants.slice_shape)
    return replace(constants, slice_shape=(rows, columns), pixel_mm=constants.pixel_mm * _SIZE / size)


def widen_chain(chain: Chain, factor: int) -> Chain:
    """Networks of so many times the width that together do what those of a chain do."""
    return Chain(
        chain.wiring, {role: widen_network(network, factor) for role, network in chain.named_children()}
    ).eval()


def widen_network(network: Network, factor: int) -> Network:
    """A network of so many times the width with the function of another, which is a UNet or an SLNet."""
    dtype = next(network.parameters()).dtype
    arguments = {**network.arguments, "width": factor * int(network.arguments["width"])}
    wide = type(network)(**arguments).to(dtype)
    shapes = {name: tensor.shape for name, tensor in wide.state_dict().items()}
    tensors = {}
    for name, tensor in network.state_dict().items():
        copies = [after // before for after, before in zip(shapes[name], tensor.shape, strict=True)]
        for axis, count in enumerate(copies):
            tensor = tensor.repeat_interleave(count, dim=axis)
        if tensor.ndim > 1:
            layer = network.get_submodule(name.rpartition(".")[0])
            tensor = tensor / copies[0 if isinstance(layer, nn.ConvTranspose2d) else 1]
        tensors[name] = tensor
    wide.load_state_dict(tensors)
    return wide


def _trained(folder: Path) -> Path:
    """A run of the smallest preset, begun or completed here."""
    run, patients, config = folder / "trained", folder / "trained-patients", PRESETS["tiny"]
    if not patients.exists():
        write_dataset(patients, cases=_PATIENTS, seed=_SEED, config=PhantomConfig(size=_SIZE))
    train(patients, run, config, resume=RunFolder(run).begun)
    return run
