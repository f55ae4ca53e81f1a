from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train import LossConfig, TrainConfig, train

SIZE, DEPTH, FRAMES = 32, 2, 20
MODALITIES = ("CT_4DPWI", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "MR_DWI", "OT")


def volumes(seed: int) -> dict[str, np.ndarray]:
    """A head with a bolus and a blob that is late, badly perfused and bright on DWI; (X, Y, Z[, T])."""
    rng = np.random.default_rng(seed)
    x, y, _ = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(DEPTH), indexing="ij")
    centre = rng.uniform(10, 22, 2)
    lesion = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 25
    head = (x - 15.5) ** 2 + (y - 15.5) ** 2 < 225
    noise = rng.normal(0, 1, (4, *head.shape))
    bolus = 60 * np.exp(-(((np.arange(FRAMES) - 9) / 3) ** 2))
    series = 40 * head[..., None] + (head * (1 - 0.7 * lesion))[..., None] * bolus
    return {
        "CT_4DPWI": (series + rng.normal(0, 1, series.shape)).astype(np.float32),
        "CT_CBF": (head * (50 - 40 * lesion + noise[0])).astype(np.float32),
        "CT_CBV": (head * (4 - 2 * lesion + 0.1 * noise[1])).astype(np.float32),
        "CT_MTT": (head * (4 + 6 * lesion + 0.2 * noise[2])).astype(np.float32),
        "CT_Tmax": (head * (1 + 8 * lesion)).astype(np.float32),
        "MR_DWI": (head * (100 + 200 * lesion + 5 * noise[3])).astype(np.float32),
        "OT": lesion.astype(np.uint8),
    }


def write_case(folder: Path, seed: int, modalities: tuple[str, ...] = MODALITIES) -> Path:
    """Write a case as ISLES 2018 has it."""
    content = volumes(seed)
    for number, modality in enumerate(modalities):
        path = folder / f"SMIR.Brain.XX.O.{modality}.{seed * 10 + number}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(content[modality], np.eye(4))
        image.header.set_zooms((6.0, 6.0, 5.0, 1.0)[: content[modality].ndim])
        nib.save(image, path)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four cases of two slices."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(1, 5):
        write_case(folder / f"case_{number}", seed=number)
    return folder


@pytest.fixture(scope="session")
def config() -> TrainConfig:
    """Width 4 on 32x32 slices: an epoch takes a fraction of a second."""
    return TrainConfig(
        width=4,
        epochs=4,
        batch_size=2,
        sn_momentum=0.9,
        validation_share=0.25,
        loss=LossConfig(decay=10.0),
        preprocess=PreprocessConfig(slice_shape=(SIZE, SIZE), run_length=3),
    )


@pytest.fixture(scope="session")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory, config: TrainConfig) -> Path:
    """A finished run of that configuration, which no test changes."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(data, out, config)
    return out


@pytest.fixture
def incomplete_case(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a case that lacks one modality."""

    def write(modality: str) -> Path:
        return write_case(tmp_path / "case_9", seed=9, modalities=tuple(m for m in MODALITIES if m != modality))

    return write
