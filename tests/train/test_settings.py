from dataclasses import replace

import pytest

from ctpdeploy.config import load
from ctpdeploy.errors import UnknownKeyError, UsageError
from ctpdeploy.train import PRESETS, AugmentConfig, TrainConfig


def test_paper_preset_holds_the_printed_constants() -> None:
    paper = PRESETS["paper"]
    assert (paper.width, paper.epochs, paper.batch_size) == (64, 300, 5)
    assert (paper.loss.alpha, paper.loss.beta, paper.loss.gamma) == (1.0, 1.0, 1.2)
    assert (paper.loss.lesion_weight, paper.loss.decay) == (1.5, 50.0)
    assert (paper.preprocess.slice_shape, paper.preprocess.run_length, paper.preprocess.frames) == ((256, 256), 5, 6)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_take_overrides(preset: str) -> None:
    config = load(
        PRESETS[preset], None, ["epochs=3", "loss.alpha=0.5", "phi_c=frozen", "preprocess.slice_shape=[64,64]"]
    )
    assert (config.epochs, config.loss.alpha, config.phi_c) == (3, 0.5, "frozen")
    assert config.preprocess.slice_shape == (64, 64)


def test_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UnknownKeyError, match="did you mean 'epochs'"):
        load(TrainConfig(), None, ["epoch=3"])


def test_an_augmented_system_undergoes_every_change_and_keeps_those_of_its_settings() -> None:
    for system in ("liu", "chen_unet"):
        config = TrainConfig(system=system)
        assert config.augment == AugmentConfig()
        assert config.augmentation == AugmentConfig(flip=True, rotation=10.0, scaling=0.1)
        own = replace(config, augment=AugmentConfig(rotation=5.0, scaling=0.2))
        assert own.augmentation == AugmentConfig(flip=True, rotation=5.0, scaling=0.2)
    plain = replace(own, system="unet")
    assert plain.augmentation == plain.augment


@pytest.mark.parametrize(
    "override",
    [
        "epochs=0",
        "batch_size=0",
        "sn_momentum=1.0",
        "validation_share=0.0",
        "test_share=0.95",
        "augment.rotation=-1.0",
        "augment.scaling=1.0",
        "preprocess.slice_shape=[128, 100]",
    ],
)
def test_impossible_values_are_refused(override: str) -> None:
    with pytest.raises(UsageError, match=override.split("=")[0].split(".")[-1]):
        load(TrainConfig(), None, [override])
