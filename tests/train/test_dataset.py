from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.nifti_cases import only_case

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.dataset import SliceDataset, read_labelled


def test_case_becomes_aligned_slices(data: Path, config: TrainConfig) -> None:
    case = read_labelled(only_case(data / "case_1"), config)
    assert case.inputs.frames.shape == (2, 6, 32, 32)
    dwi = case.inputs.dwi
    assert dwi.shape == (2, 1, 32, 32)
    assert dwi.min() == 0
    assert 1 < dwi.max() < 3  # not clipped at its 99th percentile
    assert dwi[:, 0][case.lesion].mean() > 0.8  # the lesion is what is bright on DWI
    assert (case.weight[case.lesion] == 1.5).all()
    assert {array.dtype for array in (dwi, case.weight)} == {np.dtype(np.float32)}


def test_targets_follow_the_inputs_to_another_grid(data: Path, config: TrainConfig) -> None:
    finer = replace(config, preprocess=PreprocessConfig(slice_shape=(64, 64), run_length=3))
    coarse, fine = read_labelled(only_case(data / "case_1"), config), read_labelled(only_case(data / "case_1"), finer)
    assert fine.lesion.shape == (2, 64, 64)
    assert fine.lesion.sum() == pytest.approx(4 * coarse.lesion.sum(), rel=0.1)
    late = fine.inputs.features[:, 3] > 0.25
    assert (late & fine.lesion).sum() > 0.9 * fine.lesion.sum()


@pytest.mark.parametrize(
    ("modality", "words"), [("MR_DWI", "no DWI, which the system dwi_olh is trained with"), ("OT", "no lesion mask")]
)
def test_case_without_a_target_is_refused(
    incomplete_case: Callable[[str], Path], config: TrainConfig, modality: str, words: str
) -> None:
    with pytest.raises(InputError, match=f"case_9 has {words}"):
        read_labelled(only_case(incomplete_case(modality)), config)


def test_dwi_is_there_if_all_cases_have_one(
    data: Path, incomplete_case: Callable[[str], Path], config: TrainConfig
) -> None:
    config = replace(config, system="slnet")
    cases = [read_labelled(only_case(folder), config) for folder in (data / "case_1", incomplete_case("MR_DWI"))]
    assert cases[1].inputs.dwi is None
    dataset = SliceDataset(cases)
    assert (len(dataset), dataset.slices.dwi) == (4, None)
    assert next(dataset.batches(2, seed=0, epoch=1)).dwi is None
    assert dataset.sha256() != SliceDataset(cases[::-1]).sha256()
    assert SliceDataset(cases[:1]).slices.dwi is not None


@pytest.fixture
def dataset(data: Path, config: TrainConfig) -> SliceDataset:
    return SliceDataset([read_labelled(only_case(data / f"case_{number}"), config) for number in (1, 2, 3)])


def test_order_is_a_function_of_seed_and_epoch(dataset: SliceDataset) -> None:
    def order(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch.dwi for batch in dataset.batches(2, seed=seed, epoch=epoch)])

    assert torch.equal(order(0, 1), order(0, 1))
    assert not torch.equal(order(0, 1), order(0, 2))
    assert not torch.equal(order(0, 1), order(1, 1))


@pytest.mark.parametrize(("batch_size", "sizes"), [(2, [2, 2, 2]), (4, [4]), (6, [6]), (8, [6])])
def test_incomplete_batch_is_dropped_unless_it_is_all(dataset: SliceDataset, batch_size: int, sizes: list[int]) -> None:
    assert [len(batch.dwi) for batch in dataset.batches(batch_size, seed=0, epoch=1)] == sizes
    assert dataset.steps(batch_size) == len(sizes)


def test_slices_of_a_batch_stay_together(dataset: SliceDataset) -> None:
    for batch in dataset.batches(2, seed=0, epoch=1):
        assert (batch.weight[batch.lesion] == 1.5).all()
        assert (batch.features[:, 3][batch.lesion] > 0.25).all()
