"""A whole case from its files to a mask on disk, as a user of each package would write it; makers by name.

A maker returns a function that makes the mask once and returns seconds and mask, ``(D, H, W)``. All run the same
networks. No other package has this preprocessing: the script calls ours, and nnU-Net is given its result as eleven
files a case, so that it neither reads the series nor preprocesses. In turn nnU-Net and the script write the mask alone,
ctpdeploy also the probability, the pseudo-DWI and a report; its picture is left out.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from peer_networks import OURS, Networks, open_ours
from torch import Tensor, nn

from ctpdeploy.benchmark.stages import run_files
from ctpdeploy.runtime import Case, Pipeline, find_cases, read_case
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.io.nifti_case import TENTHS
from ctpdeploy.runtime.preprocess.preprocess import preprocess
from ctpdeploy.train.networks.chain import Chain

__all__ = ["CASE_PEERS", "SCRIPT", "Job", "Run"]

Run = Callable[[], tuple[float, NDArray[np.bool_]]]

SCRIPT: Final = "PyTorch script with nibabel and MONAI"
_FLOWS: Final = ("cbf", "cbv")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A case and the networks to run on it.

    Attributes:
        networks: to run.
        folder: of the case.
        scratch: for results.
    """

    networks: Networks
    folder: Path
    scratch: Path


class Stacked(nn.Module):
    """The chain as packages take a network: one image with eleven channels in, logits out."""

    def __init__(self, chain: Chain, frames: int) -> None:
        super().__init__()
        self.chain, self.frames = chain, frames

    def forward(self, image: Tensor) -> Tensor:
        """Frames come first."""
        return self.chain(image[:, : self.frames], image[:, self.frames :])["logits"]


def _ctpdeploy(backend: str) -> Callable[[Job], Run]:
    def make(job: Job) -> Run:
        bundle = job.networks.bundle
        pipeline = Pipeline(open_ours(bundle, backend), bundle.preprocess)
        (ref,) = find_cases(job.folder)

        def run() -> tuple[float, NDArray[np.bool_]]:
            done = run_files(pipeline, ref, job.scratch / backend)
            return done.wall - done.seconds["overview"], done.prediction.mask

        return run

    return make


def _script(job: Job) -> Run:
    """Nibabel to read, MONAI's sliding window over slices in eager torch, nibabel to write."""
    from monai.inferers import SlidingWindowInferer

    known, config = read_case(job.folder), job.networks.bundle.preprocess
    network = Stacked(job.networks.chain, config.frames)
    inferer = SlidingWindowInferer(roi_size=config.slice_shape, sw_batch_size=1)

    def run() -> tuple[float, NDArray[np.bool_]]:
        start = time.perf_counter()
        batch = preprocess(_read_plainly(job.folder, known), config)[0]
        image = torch.from_numpy(np.concatenate([batch.frames, batch.features], axis=1))
        with torch.inference_mode():
            mask = inferer(image, network).argmax(1).bool().numpy()
        image_out = nib.Nifti1Image(known.geometry.to_source(mask.astype(np.uint8)), known.geometry.affine)
        nib.save(image_out, job.scratch / "script.nii.gz")
        return time.perf_counter() - start, mask

    return run


def _read_plainly(folder: Path, known: Case) -> Case:
    """The volumes as ``get_fdata`` gives them, on the geometry of a case at hand."""
    arrays = {part: nib.load(file).get_fdata(dtype=np.float32) for part, file in find_cases(folder)[0].files.items()}
    to_case = known.geometry.to_case
    maps = {name: to_case(arrays[name]) * (TENTHS if name in _FLOWS else 1.0) for name in MAP_NAMES}
    return replace(known, series=to_case(arrays["ctp"]), maps=maps, dwi=None, lesion=None)


def _nnunet(job: Job) -> Run:
    """nnU-Net's predictor with its own reading, cropping, windows and writing; no mirroring, which costs four times."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    case, config = read_case(job.folder), job.networks.bundle.preprocess
    network = Stacked(job.networks.chain, config.frames)
    files, out = _channel_files(case, job), job.scratch / "nnunet"
    out.mkdir(exist_ok=True)
    plans = PlansManager(_plans(len(files), case.geometry.spacing, config.slice_shape))
    described = {
        "channel_names": {str(i): "noNorm" for i in range(len(files))},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".nii.gz",
    }
    predictor = nnUNetPredictor(
        use_mirroring=False, device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    weights = [network.state_dict()]
    predictor.manual_initialization(network, plans, plans.get_configuration("2d"), weights, described, "-", None)

    def run() -> tuple[float, NDArray[np.bool_]]:
        start = time.perf_counter()
        with redirect_stdout(StringIO()):
            predictor.predict_from_files_sequential([files], [str(out / "mask")])
        seconds = time.perf_counter() - start
        return seconds, case.geometry.to_case(np.asarray(nib.load(out / "mask.nii.gz").dataobj)) > 0

    return run


def _channel_files(case: Case, job: Job) -> list[str]:
    """Network input as nnU-Net takes it: a file a channel. A number next to nothing in two corners keeps it whole."""
    batch = preprocess(case, job.networks.bundle.preprocess)[0]
    channels = np.moveaxis(np.concatenate([batch.frames, batch.features], axis=1), 1, 0).copy()
    channels[0, [0, -1], [0, -1], [0, -1]] += np.float32(1e-30)
    files = []
    affine = np.diag([*reversed(case.geometry.spacing), 1.0])
    for number, channel in enumerate(channels):
        files.append(str(job.scratch / f"case_{number:04d}.nii.gz"))
        nib.save(nib.Nifti1Image(case.geometry.to_source(channel), affine), files[-1])
    return files


def _plans(channels: int, spacing: tuple[float, float, float], patch: tuple[int, int]) -> dict[str, Any]:
    """Plans that neither normalise nor resample: the networks' input is ready."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 1,
        "patch_size": list(patch),
        "spacing": [float(np.float32(x)) for x in spacing[1:]],
        "normalization_schemes": ["NoNormalization"] * channels,
        "use_mask_for_norm": [False] * channels,
        "architecture": {},
    }
    for kind in ("data", "seg", "probabilities"):
        configuration[f"resampling_fn_{kind}"] = "resample_data_or_seg_to_shape"
        configuration[f"resampling_fn_{kind}_kwargs"] = resampling | {"is_seg": kind == "seg"}
    return {
        "dataset_name": "benchmark",
        "plans_name": "benchmark",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": configuration},
        "foreground_intensity_properties_per_channel": {str(i): {} for i in range(channels)},
    }


CASE_PEERS: Final[Mapping[str, Callable[[Job], Run]]] = {
    SCRIPT: _script,
    "nnU-Net predictor": _nnunet,
    **{called: _ctpdeploy(name) for called, name in OURS.items()},
}
