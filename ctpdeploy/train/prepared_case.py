"""A case on the networks' grid: all of it that takes long to compute and that no setting of the loss changes.

As a file it is safetensors, with a digest of its own content: what a disk or a network has altered is not read.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid, preprocess
from ctpdeploy.train.case_facts import CaseFacts

__all__ = ["PreparedCase", "pack", "prepare", "unpack"]


@dataclass(frozen=True, kw_only=True)
class PreparedCase:
    """The slices of a case with their truth, on the networks' grid.

    Attributes:
        identifier: name of the case.
        inputs: of the networks, with the DWI where there is one.
        lesion: bool ``(N, H, W)``.
        voxel_ml: volume of a voxel of that grid.
        facts: of the case, for the model card.
    """

    identifier: str
    inputs: SliceBatch
    lesion: BoolArray
    voxel_ml: float
    facts: CaseFacts


def prepare(case: Case, config: PreprocessConfig) -> PreparedCase:
    """Preprocess a case and its lesion.

    Raises:
        InputError: it has no lesion.
    """
    if case.lesion is None:
        raise InputError(f"{case.identifier} has no lesion mask, the target of segmentation: leave the case out.")
    grid = network_grid(case, config)
    return PreparedCase(
        identifier=case.identifier,
        inputs=preprocess(case, config)[0],
        lesion=grid.resample(case.lesion.astype(np.float32)) >= 0.5,
        voxel_ml=case.geometry.voxel_ml * math.prod(grid.steps),
        facts=CaseFacts.of(case),
    )


def pack(case: PreparedCase) -> bytes:
    """A case as the content of a file; equal cases are equal files."""
    inputs = case.inputs
    arrays = {"frames": inputs.frames, "features": inputs.features, "lesion": case.lesion}
    if inputs.dwi is not None:
        arrays["dwi"] = inputs.dwi
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    about = {"identifier": case.identifier, "voxel_ml": case.voxel_ml, "facts": asdict(case.facts)}
    text = json.dumps(about)
    # one entry of metadata: safetensors writes several in random order
    return save(arrays, metadata={"case": json.dumps([text, _digest(text, arrays)])})


def unpack(file: Path) -> PreparedCase | None:
    """The case in a file that :func:`pack` made; None where there is no file, or not all that was written."""
    try:
        with safe_open(file, framework="numpy") as content:
            text, digest = json.loads(content.metadata()["case"])
            arrays = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError, TypeError, KeyError, ValueError):
        return None
    if digest != _digest(text, arrays):
        return None
    about = json.loads(text)
    facts = about["facts"]
    return PreparedCase(
        identifier=about["identifier"],
        voxel_ml=about["voxel_ml"],
        inputs=SliceBatch(frames=arrays["frames"], features=arrays["features"], dwi=arrays.get("dwi")),
        lesion=arrays["lesion"],
        facts=CaseFacts(**facts | {"spacing": tuple(facts["spacing"])}),
    )


def _digest(text: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
