"""Cases written independently of ctpdeploy's own writer, as another hospital's software would."""

from pathlib import Path

import nibabel as nib
import numpy as np

from ctpdeploy.runtime import CaseRef, find_cases

SHAPE = (24, 20, 3)
FRAMES = 40
MODALITIES = {"ctp": "CT_4DPWI", "cbf": "CT_CBF", "cbv": "CT_CBV", "mtt": "CT_MTT", "tmax": "CT_Tmax"}


def save(path: Path, data: np.ndarray, *, affine: np.ndarray | None = None, zooms: tuple[float, ...] = ()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    if zooms:
        image.header["pixdim"][1 : 1 + len(zooms)] = zooms
    nib.save(image, path)
    return path


def patch(path: Path, **fields: object) -> Path:
    """Write fields of a header as they are given, which nibabel would repair; ``pixdim={4: 0.0}`` writes one number."""
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        if isinstance(value, dict):
            for index, number in value.items():
                header[name][index] = number
        else:
            header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


def load(path: Path) -> np.ndarray:
    """The array of a file, in memory: a mapped file may not be written over."""
    return np.asanyarray(nib.load(path, mmap=False).dataobj)


def bolus_series(shape: tuple[int, ...] = SHAPE, frames: int = FRAMES, *, falls: bool = True) -> np.ndarray:
    """``(X, Y, Z, T)`` float32: a warm block in air, brighter as the bolus comes, and if asked darker as it goes.

    Curves are as high as CBF of ``maps`` says, 2.6 times as wide as MTT, and as late as Tmax.
    """
    rng = np.random.default_rng(3)
    head = np.full(shape, -1000.0)
    head[2:-2, 2:-2] = 35.0 + rng.normal(0, 1, head[2:-2, 2:-2].shape)
    height, mtt, tmax = (maps(shape)[f"CT_{name}"][..., None] for name in ("CBF", "MTT", "Tmax"))
    late = np.arange(frames) - frames // 2 - (tmax - 4.0)
    curves = 0.025 * height * np.exp(-2.0 * (late / np.where(mtt > 0, 2.2 * mtt, 1.0)) ** 2)
    return (head[..., None] + (curves if falls else np.maximum.accumulate(curves, axis=-1))).astype(np.float32)


def maps(shape: tuple[int, ...] = SHAPE) -> dict[str, np.ndarray]:
    """CBF and CBV as uint16 in tenths, MTT and Tmax as float64 seconds; background 0; MTT = 60 CBV / CBF."""
    inside = np.zeros(shape, dtype=bool)
    inside[2:-2, 2:-2] = True
    rng = np.random.default_rng(4)
    cbf, mtt = rng.uniform(20, 60, shape), rng.uniform(4, 6, shape)
    cbv = cbf * mtt / 60
    tmax = rng.uniform(1, 12, shape)
    tmax[shape[0] // 2 :] = rng.uniform(1, 3, tmax[shape[0] // 2 :].shape)  # the healthy side
    return {
        "CT_CBF": np.where(inside, cbf * 10, 0).astype(np.uint16),
        "CT_CBV": np.where(inside, cbv * 10, 0).astype(np.uint16),
        "CT_MTT": np.where(inside, mtt, 0.0),
        "CT_Tmax": np.where(inside, tmax, 0.0),
    }


def write_isles(
    folder: Path,
    *,
    shape: tuple[int, int, int] = SHAPE,
    frames: int = FRAMES,
    zooms: tuple[float, float, float] | None = None,
    prefix: str = "CT_",
    suffix: str = ".nii",
    falls: bool = True,
) -> Path:
    """A case folder in ISLES 2018's layout with ids that step irregularly; unless said otherwise 216 mm wide."""
    zooms = zooms or (216 / shape[0], 216 / shape[0], 6.0)
    volumes = {"CT_4DPWI": bolus_series(shape, frames, falls=falls), **maps(shape)}
    volumes["CT"] = volumes["CT_4DPWI"][..., 0].astype(np.int32)
    volumes["OT"] = (maps(shape)["CT_Tmax"] > 9).astype(np.uint8)
    for number, (name, data) in enumerate(volumes.items()):
        stem = f"SMIR.Brain.XX.O.{name.replace('CT_', prefix)}.{987001 + 13 * number}"
        step = (1.0,) if data.ndim == 4 else ()
        save(folder / stem / f"{stem}{suffix}", data, zooms=(*zooms, *step))
    return folder


def find(folder: Path, modality: str) -> Path:
    """The file of a modality such as ``CT_CBF``."""
    return next(folder.glob(f"*/*.{modality}.*.nii*"))


def only_case(folder: Path) -> CaseRef:
    """The one case in a folder."""
    (case,) = find_cases(folder)
    return case


def files_of(folder: Path) -> dict[str, Path]:
    """The files of the one case in a folder, by what they hold."""
    return dict(only_case(folder).files)
