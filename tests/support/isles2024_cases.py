"""ISLES 2024's layout, written independently of ctpdeploy: a raw set and a derived one for each subject."""

from pathlib import Path

import nibabel as nib
import numpy as np

from support import nifti_cases

RAW_SHAPE, NCCT_SHAPE, MR_SHAPE = (24, 20, 3), (26, 22, 5), (16, 16, 4)
BACKGROUND_TMAX = -30.0


def oblique(codes: str = "LPS", zooms: tuple[float, float, float] = (4.5, 4.5, 5.0), degrees: float = 18.0):
    """An affine with the gantry tilted and the head turned, its axes nearest to ``codes``."""
    tilt, turn = np.deg2rad(degrees), np.deg2rad(degrees / 3)
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    axes = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), (1, 1, 1))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ axes @ np.diag(zooms)
    affine[:3, 3] = (-52.0, 33.5, 710.25)
    return affine


def save(path: Path, data: np.ndarray, affine: np.ndarray, *, step: float = 1.0) -> Path:
    """A file with both forms, as converters from DICOM write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if data.ndim == 4:
        image.header["pixdim"][4] = step
    nib.save(image, path)
    return path


def maps(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """float32 in ml/100g/min, ml/100g and s; outside the brain Tmax is -30, the others 0."""
    stored = {name[3:].lower(): data for name, data in nifti_cases.maps(shape).items()}
    outside = stored["mtt"] == 0
    stored = {name: data / 10 if name in ("cbf", "cbv") else data for name, data in stored.items()}
    stored["tmax"] = np.where(outside, BACKGROUND_TMAX, stored["tmax"])
    return {name: data.astype(np.float32) for name, data in stored.items()}


def lesion(shape: tuple[int, ...]) -> np.ndarray:
    return (maps(shape)["tmax"] > 9).astype(np.uint8)


def write_subject(
    root: Path,
    subject: str = "sub-stroke0001",
    *,
    raw: str = "raw_data",
    sessions: tuple[str, str] = ("ses-01", "ses-02"),
    lesion_space: str = "_space-ncct",
    derived: bool = True,
    step: float = 1.0,
) -> tuple[Path, Path]:
    """Write a subject; returns its folders in the raw set and in the derived one."""
    acute, later = sessions
    folders = root / raw / subject, root / "derivatives" / subject
    for folder, space, shape in ((folders[0], "", RAW_SHAPE), (folders[1], "_space-ncct", NCCT_SHAPE)):
        if space and not derived:
            continue
        affine = oblique(zooms=(4.5, 4.5, 5.0) if space else (9.0, 9.0, 5.0))
        start = folder / acute / f"{subject}_{acute}{space}"
        save(Path(f"{start}_ctp.nii.gz"), nifti_cases.bolus_series(shape), affine, step=step)
        save(Path(f"{start}_cta.nii.gz"), nifti_cases.bolus_series(shape)[..., 3], affine)
        for name, data in maps(shape).items():
            save(folder / acute / "perfusion-maps" / f"{subject}_{acute}{space}_{name}.nii.gz", data, affine)
    dwi = nifti_cases.bolus_series(NCCT_SHAPE)[..., 3]
    save(folders[0] / later / f"{subject}_{later}_dwi.nii.gz", np.ones(MR_SHAPE, np.float32), np.eye(4))
    ncct = oblique()
    save(folders[1] / later / f"{subject}_{later}_space-ncct_dwi.nii.gz", dwi, ncct)
    save(folders[1] / later / f"{subject}_{later}_space-ncct_adc.nii.gz", dwi, ncct)
    save(folders[1] / later / f"{subject}_{later}{lesion_space}_lesion-msk.nii.gz", lesion(NCCT_SHAPE), ncct)
    return folders
