import math

import numpy as np
import pytest
import torch

from ctpdeploy.train.augmentation import Poses, augment, draw_poses
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.losses.weight_map import weight_map
from ctpdeploy.train.settings import AugmentConfig, LossConfig

LOSS = LossConfig(lesion_weight=3.0, decay=7.0)
HEIGHT, WIDTH = 48, 64
ALL = AugmentConfig(flip=True, rotation=15.0, scaling=0.1)


def blob(x: float, y: float, radius: float = 4.0) -> torch.Tensor:
    """Smooth, its highest point at x, y from the centre in pixels."""
    columns = torch.arange(WIDTH) - (WIDTH - 1) / 2
    rows = (torch.arange(HEIGHT) - (HEIGHT - 1) / 2)[:, None]
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))


def make_batch(*places: tuple[float, float], dwi: bool = True) -> Batch:
    """A slice for each place; channels differ by a factor, and the lesion is where the blob is above one half."""
    image = torch.stack([blob(*place) for place in places])[:, None]
    lesion = image[:, 0] > 0.5
    weight = weight_map(lesion.numpy(), lesion_weight=LOSS.lesion_weight, decay=LOSS.decay)
    factors = torch.linspace(0.5, 1.0, 6)[:, None, None]
    return Batch(
        frames=image * factors,
        features=image * factors[:5],
        dwi=image if dwi else None,
        lesion=lesion,
        weight=torch.from_numpy(weight),
    )


def pose(*, degrees: float = 0.0, size: float = 1.0, slices: int = 1) -> Poses:
    angle = math.radians(degrees)
    matrix = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / size
    return Poses(torch.zeros(slices, dtype=torch.bool), matrix.expand(slices, 2, 2))


def centre_of_mass(image: torch.Tensor) -> tuple[float, float]:
    columns = torch.arange(WIDTH) - (WIDTH - 1) / 2
    rows = (torch.arange(HEIGHT) - (HEIGHT - 1) / 2)[:, None]
    image = image / image.sum()
    return float((image * columns).sum()), float((image * rows).sum())


def assert_equal(one: Batch, other: Batch) -> None:
    for a, b in zip(one, other, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def test_nothing_asked_for_changes_nothing() -> None:
    batch = make_batch((5, 3), (0, 0))
    assert augment(batch, draw_poses(AugmentConfig(), 2, seed=0, epoch=1, step=0), LOSS) is batch


def test_mirrored_twice_is_as_it_was() -> None:
    batch, both = make_batch((5, 3), (-9, 4)), Poses(torch.tensor([True, True]), None)
    once = augment(batch, both, LOSS)
    assert centre_of_mass(once.dwi[0, 0]) == pytest.approx((-5, 3), abs=0.05)
    assert_equal(once, batch.map(lambda tensor: tensor.flip(-1)))
    assert_equal(augment(once, both, LOSS), batch)


def test_only_the_slices_chosen_are_mirrored() -> None:
    batch = make_batch((5, 3), (-9, 4), (2, 2))
    mirrored = augment(batch, Poses(torch.tensor([False, True, False]), None), LOSS)
    assert_equal(mirrored.map(lambda t: t[::2]), batch.map(lambda t: t[::2]))
    assert_equal(mirrored.map(lambda t: t[1]), batch.map(lambda t: t[1].flip(-1)))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"degrees": 90.0}, (-4, 10)),  # from the axis of columns towards that of rows
        ({"degrees": -30.0}, (10 * math.cos(math.pi / 6) + 4 * 0.5, 4 * math.cos(math.pi / 6) - 10 * 0.5)),
        ({"size": 1.25}, (12.5, 5)),
        ({"size": 0.5}, (5, 2)),
        ({"degrees": 180.0, "size": 1.1}, (-11, -4.4)),
    ],
)
def test_landmark_goes_where_it_should(change: dict[str, float], place: tuple[float, float]) -> None:
    batch = make_batch((10, 4))
    after = augment(batch, pose(**change), LOSS)
    assert centre_of_mass(after.dwi[0, 0]) == pytest.approx(place, abs=0.1)
    assert centre_of_mass(after.lesion[0].float()) == pytest.approx(place, abs=0.3)
    area = int(batch.lesion.sum()) * change.get("size", 1.0) ** 2
    assert int(after.lesion.sum()) == pytest.approx(area, rel=0.1)
    for images, channels in ((after.frames, 6), (after.features, 5)):
        for channel, factor in enumerate(torch.linspace(0.5, 1.0, 6)[:channels]):
            torch.testing.assert_close(images[0, channel], factor * after.dwi[0, 0])


def test_mirror_comes_before_the_turn() -> None:
    mirrored = pose(degrees=90.0)._replace(mirrored=torch.tensor([True]))
    after = augment(make_batch((10, 4)), mirrored, LOSS)
    assert centre_of_mass(after.dwi[0, 0]) == pytest.approx((-4, -10), abs=0.1)


def test_warp_that_moves_nothing_keeps_every_pixel() -> None:
    batch = make_batch((10, 4), (-3, 8))
    after = augment(batch, pose(slices=2), LOSS)
    torch.testing.assert_close(after.frames, batch.frames, atol=1e-5, rtol=0)
    assert torch.equal(after.lesion, batch.lesion)
    assert torch.equal(after.weight, batch.weight)


def test_outside_the_slice_there_is_air() -> None:
    batch = make_batch((0, 0)).map(torch.ones_like)
    after = augment(batch, pose(size=0.5), LOSS)
    assert (after.frames[..., : HEIGHT // 4 - 1, :] == 0).all()
    assert (after.frames[..., HEIGHT // 4 + 1 : -HEIGHT // 4 - 1, WIDTH // 4 + 1 : -WIDTH // 4 - 1] == 1).all()


@pytest.mark.parametrize("config", [AugmentConfig(flip=True), AugmentConfig(rotation=20.0), ALL])
def test_weight_map_is_that_of_the_new_lesion(config: AugmentConfig) -> None:
    batch = make_batch((10, 4), (-8, 3), (0, -10))
    after = augment(batch, draw_poses(config, 3, seed=0, epoch=1, step=0), LOSS)
    assert not torch.equal(after.lesion, batch.lesion)
    expected = weight_map(after.lesion.numpy(), lesion_weight=LOSS.lesion_weight, decay=LOSS.decay)
    np.testing.assert_array_equal(after.weight, expected)
    assert (after.lesion.dtype, after.weight.dtype) == (torch.bool, torch.float32)


def test_cases_without_dwi_are_augmented_too() -> None:
    places, poses = ((10.0, 4.0), (3.0, 3.0)), draw_poses(ALL, 2, seed=0, epoch=1, step=0)
    with_dwi, without = (augment(make_batch(*places, dwi=dwi), poses, LOSS) for dwi in (True, False))
    assert without.dwi is None
    assert_equal(without, with_dwi._replace(dwi=None))


def test_what_is_drawn_depends_on_seed_epoch_step_and_slice() -> None:
    def draw(seed: int = 0, epoch: int = 1, step: int = 0) -> torch.Tensor:
        poses = draw_poses(ALL, 8, seed=seed, epoch=epoch, step=step)
        return torch.cat([poses.mirrored[:, None].float(), poses.matrix.flatten(1)], dim=1)

    assert torch.equal(draw(), draw())
    for other in (draw(seed=1), draw(epoch=2), draw(step=1)):
        assert not torch.equal(draw()[:, 1:], other[:, 1:])
    assert len(draw().unique(dim=0)) == 8
    assert len(draw()[:, 0].unique()) == 2


def test_draws_keep_within_the_limits() -> None:
    matrix = draw_poses(ALL, 2000, seed=0, epoch=1, step=0).matrix.double()
    size = torch.linalg.det(matrix) ** -0.5
    degrees = torch.atan2(matrix[:, 0, 1], matrix[:, 0, 0]).rad2deg()
    for values, low, high in ((size, 0.9, 1.1), (degrees, -15.0, 15.0)):
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
    mirrored = draw_poses(ALL, 2000, seed=0, epoch=1, step=0).mirrored
    assert 0.45 < mirrored.float().mean() < 0.55


def test_one_change_more_leaves_the_others_as_they_were() -> None:
    one = draw_poses(AugmentConfig(rotation=15.0), 5, seed=0, epoch=1, step=0)
    other = draw_poses(AugmentConfig(rotation=15.0, flip=True), 5, seed=0, epoch=1, step=0)
    assert torch.equal(one.matrix, other.matrix)
    assert not one.mirrored.any()
    assert other.mirrored.any()


def test_part_of_the_poses_is_that_of_the_slices() -> None:
    batch, poses = make_batch((10, 4), (-8, 3), (0, -10), (5, 5)), draw_poses(ALL, 4, seed=0, epoch=1, step=0)
    whole = augment(batch, poses, LOSS)
    part = slice(2, 4)
    assert_equal(augment(batch.map(lambda t: t[part]), poses.part(part), LOSS), whole.map(lambda t: t[part]))
