"""nnU-Net in 2D, trained on the same patients and the same inputs as the networks, for :mod:`baselines`.

Its own plans, preprocessing, augmentation and trainer; on all patients (its fold ``all``), as its last epoch is kept.
Needs the extra bench. An epoch is 250 mini-batches, as nnU-Net has it: made for a GPU.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["train_nnunet"]

Arrays = tuple[NDArray[np.float32], NDArray[np.bool_], tuple[float, float, float]]
"""Channels ``(C, D, H, W)``, truth ``(D, H, W)`` and spacing ``(dz, dy, dx)`` in mm of a patient."""

Predict = Callable[[NDArray[np.float32], tuple[float, float, float]], tuple[NDArray[np.bool_], NDArray[np.float32]]]
"""From channels and spacing to mask and probability ``(D, H, W)``."""

DATASET: Final = "Dataset001_Baselines"
CONFIGURATION: Final = "2d"


@contextmanager
def train_nnunet(patients: Sequence[Arrays], *, epochs: int, steps: int = 250, seed: int = 0) -> Iterator[Predict]:
    """Train, and lend what predicts.

    Args:
        patients: to train on.
        epochs: how many.
        steps: mini-batches of each.
        seed: of PyTorch and NumPy.
    """
    with TemporaryDirectory() as folder:
        places = {name: Path(folder) / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        for place in places.values():
            place.mkdir()
        os.environ.update({name: str(place) for name, place in places.items()})  # read where nnunetv2 is imported
        _write(places["nnUNet_raw"] / DATASET, patients)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002, TID251  nnU-Net draws from it
        yield _predictor(_trained(places["nnUNet_preprocessed"] / DATASET, epochs, steps))


def _write(folder: Path, patients: Sequence[Arrays]) -> None:
    """A data set as nnU-Net reads it."""
    from nnunetv2.dataset_conversion.generate_dataset_json import generate_dataset_json

    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number, (channels, truth, spacing) in enumerate(patients):
        affine = np.diag([*spacing[::-1], 1.0])
        for channel, volume in enumerate(channels):
            nib.save(nib.Nifti1Image(volume.T, affine), folder / f"imagesTr/case_{number:03d}_{channel:04d}.nii.gz")
        nib.save(nib.Nifti1Image(truth.T.astype(np.uint8), affine), folder / f"labelsTr/case_{number:03d}.nii.gz")
    names = {channel: f"input {channel}" for channel in range(len(patients[0][0]))}
    generate_dataset_json(
        str(folder),
        channel_names=names,
        labels={"background": 0, "lesion": 1},
        num_training_cases=len(patients),
        file_ending=".nii.gz",
    )


def _trained(preprocessed: Path, epochs: int, steps: int) -> Any:  # noqa: ANN401  a trainer of nnU-Net
    """Plan, preprocess and train; the trainer."""
    from batchgenerators.utilities.file_and_folder_operations import load_json
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112  0 is no number of threads to the planner of 2.8.1
    extract_fingerprints([1], num_processes=1)
    plan_experiments([1])
    preprocess([1], configurations=(CONFIGURATION,), num_processes=(1,))
    trainer = nnUNetTrainer(
        # the second as its own command adds it
        plans={**load_json(str(preprocessed / "nnUNetPlans.json")), "continue_training": False},
        configuration=CONFIGURATION,
        fold="all",
        dataset_json=load_json(str(preprocessed / "dataset.json")),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch = epochs, steps
    trainer.num_val_iterations_per_epoch = min(trainer.num_val_iterations_per_epoch, steps)
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112  augment here: there may be no core for another process
    trainer.run_training()
    trainer.set_deep_supervision_enabled(False)  # one output, of full resolution
    return trainer


def _predictor(trainer: Any) -> Predict:  # noqa: ANN401  a trainer of nnU-Net
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        device=trainer.device, perform_everything_on_device=trainer.device.type == "cuda", allow_tqdm=False
    )
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )

    def predict(
        channels: NDArray[np.float32], spacing: tuple[float, float, float]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        about = {"spacing": list(spacing)}
        mask, probability = predictor.predict_single_npy_array(channels, about, None, None, True)
        return np.asarray(mask) == 1, np.asarray(probability[1], dtype=np.float32)

    return predict
