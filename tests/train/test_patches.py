"""Class-balanced patches: shares, sizes, places."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.nifti_cases import only_case

from ctpdeploy.train import TrainConfig
from ctpdeploy.train.dataset import Batch, SliceDataset, read_labelled
from ctpdeploy.train.loader import Loader
from ctpdeploy.train.networks.unet import STRIDE
from ctpdeploy.train.patches import Patches, draw_patches, patch_side

HEIGHT, WIDTH = 96, 64


def slices(*pixels: tuple[int, int] | None) -> Batch:
    """A slice for each lesion of one pixel, or without; every image holds the number of each pixel."""
    numbers = torch.arange(HEIGHT * WIDTH, dtype=torch.float32).view(1, 1, HEIGHT, WIDTH)
    image = numbers.expand(len(pixels), 1, HEIGHT, WIDTH)
    lesion = torch.zeros(len(pixels), HEIGHT, WIDTH, dtype=torch.bool)
    for mask, pixel in zip(lesion, pixels, strict=True):
        if pixel is not None:
            mask[pixel] = True
    return Batch(image.expand(-1, 6, -1, -1), image.expand(-1, 5, -1, -1), None, lesion, image[:, 0])


@pytest.mark.parametrize(("side", "expected"), [(256, 128), (208, 112), (160, 80), (96, 48), (80, 48), (32, 16)])
def test_a_patch_has_half_the_sides_on_the_grid_of_the_networks(side: int, expected: int) -> None:
    assert patch_side(side) == expected
    assert expected % STRIDE == 0


def test_every_tensor_is_cut_at_one_place_inside_the_slice() -> None:
    batch = slices(*[(90, 3)] * 8, *[None] * 8)
    cut = draw_patches(16, seed=0, epoch=1, step=0).cut(batch)
    assert cut.dwi is None
    assert (cut.frames.shape, cut.features.shape) == ((16, 6, 48, 32), (16, 5, 48, 32))
    for frames, features, weight in zip(cut.frames, cut.features, cut.weight, strict=True):
        assert (frames == weight).all()
        assert (features == weight).all()
        row, column = divmod(int(weight[0, 0]), WIDTH)
        expected = torch.arange(HEIGHT * WIDTH).view(HEIGHT, WIDTH)[row : row + 48, column : column + 32]
        assert torch.equal(weight.long(), expected)


@pytest.mark.parametrize("pixel", [(0, 0), (95, 63), (50, 30), (0, 63), (71, 17)])
def test_the_lesion_is_kept_and_in_the_middle_where_the_edge_allows(pixel: tuple[int, int]) -> None:
    balancing = Patches(np.array([True]), np.random.default_rng(0).random((1, 3)))
    found = balancing.cut(slices(pixel)).lesion[0].nonzero()
    assert len(found) == 1
    row, column = found[0].tolist()
    if 24 <= pixel[0] <= 72 and 16 <= pixel[1] <= 48:
        assert (row, column) == (24, 16)


def test_others_lie_anywhere() -> None:
    anywhere = Patches(np.zeros(4000, bool), np.random.default_rng(0).random((4000, 3)))
    first = anywhere.cut(slices(*[(50, 30)] * 4000)).weight[:, 0, 0].long()
    assert set((first // WIDTH).tolist()) == set(range(49))
    assert set((first % WIDTH).tolist()) == set(range(33))


def test_a_lesion_lost_on_the_way_costs_no_patch() -> None:
    patches = Patches(np.array([True]), np.array([[0.0, 0.5, 0.999]]))
    assert int(patches.cut(slices(None)).weight[0, 0, 0]) == 24 * WIDTH + 32


@pytest.mark.parametrize("size", [1, 3, 10])
def test_half_of_the_patches_are_of_slices_with_lesion(size: int) -> None:
    lesioned = torch.tensor([100, 101, 102])
    steps = [draw_patches(size, seed=0, epoch=1, step=step) for step in range(60)]
    chosen = torch.cat([patches.choose(torch.arange(size), lesioned) for patches in steps])
    assert (chosen >= 100).float().mean() == 0.5
    assert {100, 101, 102} < set(chosen.tolist())
    rest = [patches.choose(torch.arange(size), lesioned)[torch.from_numpy(~patches.balancing)] for patches in steps]
    turns = [torch.arange(size)[torch.from_numpy(~patches.balancing)] for patches in steps]
    assert torch.equal(torch.cat(rest), torch.cat(turns)), "the turns of the others stay"
    assert torch.equal(steps[0].choose(torch.arange(size), torch.arange(0)), torch.arange(size))


def test_what_is_drawn_depends_on_seed_epoch_and_step_alone() -> None:
    def draw(seed: int = 0, epoch: int = 1, step: int = 0) -> Patches:
        return draw_patches(8, seed=seed, epoch=epoch, step=step)

    np.testing.assert_array_equal(draw().random, draw().random)
    assert len(np.unique(draw().random)) == 24
    for other in (draw(seed=1), draw(epoch=2), draw(step=1)):
        assert not np.isin(other.random, draw().random).any()
    for whole, part in zip(draw(), draw().part(slice(2, 4)), strict=True):
        np.testing.assert_array_equal(part, whole[2:4])


def test_the_loader_cuts_them_where_the_system_says_so(data: Path, config: TrainConfig) -> None:
    dataset = SliceDataset([read_labelled(only_case(data / f"case_{number}"), config) for number in (1, 2, 3, 4)])
    dataset.slices.lesion[2:] = False
    config, cpu = replace(config, system="garcia_unet", batch_size=4), torch.device("cpu")
    batches = list(Loader(dataset, config, cpu).epoch(1))
    assert [tuple(batch.frames.shape) for batch in batches] == [(4, 6, 16, 16)] * 2
    for batch in batches:
        assert batch.lesion.flatten(1).any(dim=1)[1::2].all()
    again, other = (next(Loader(dataset, replace(config, seed=seed), cpu).epoch(1)) for seed in (0, 1))
    assert torch.equal(again.frames, batches[0].frames)
    assert not torch.equal(other.frames, again.frames)
    shares = [Loader(dataset, config, cpu, rank=rank, world=2).epoch(1) for rank in (0, 1)]
    for whole, *parts in zip(batches, *shares, strict=True):
        assert torch.equal(torch.cat([part.frames for part in parts]), whole.frames)
