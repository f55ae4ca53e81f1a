"""Configuration of a training run, and the presets.

Every default is the source's own value (section 4.1), for its 256x256 slices and full width.
"""

from dataclasses import dataclass, field
from typing import Literal

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.preprocess import PreprocessConfig
from ctpdeploy.train.networks.unet import STRIDE

__all__ = ["PRESETS", "LossConfig", "OptimiserConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the total loss.

    Attributes:
        alpha: weight of the synthesis loss L_g of the pseudo-DWI (equation 15).
        beta: weight of the synthesis loss L_e of the extractor's output (equation 15).
        gamma: weight of the context loss within L_g and L_e (equation 6).
        lesion_weight: w, weight of a lesion pixel (equation 9).
        decay: D, pixels over which the weight falls off around a lesion (equation 9).
    """

    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.2
    lesion_weight: float = 1.5
    decay: float = 50.0


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """RMSprop and its learning rate.

    Attributes:
        learning_rate: at the start.
        drop_after: share of the epochs after which it drops; the source's 180 of 300.
        drop_factor: what it is then multiplied with.
    """

    learning_rate: float = 0.002
    drop_after: float = 0.6
    drop_factor: float = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        width: channels of the first level of each network.
        epochs: passes over the training slices.
        batch_size: slices a step.
        sn_momentum: weight of the old value in SLNet's running statistics.
        phi_c: whether the context encoder learns with the others, as in the source, or stays as initialised.
            Learning, it could make its loss vanish by describing every image alike.
        validation_share: share of the patients that choose the best epoch and are not trained on.
        seed: of the initial weights, the order of slices, and the split.
        loss: weights of the loss.
        optimiser: its settings.
        preprocess: constants that travel with the networks.
    """

    width: int = 64
    epochs: int = 300
    batch_size: int = 5
    sn_momentum: float = 0.997
    phi_c: Literal["joint", "frozen"] = "joint"
    validation_share: float = 0.1
    seed: int = 0
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)

    def __post_init__(self) -> None:
        for name in ("width", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must be at least 1.")
        for name in ("sn_momentum", "validation_share"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must lie between 0 and 1.")
        if any(size % STRIDE for size in self.preprocess.slice_shape):
            raise UsageError(f"'slice_shape' is {self.preprocess.slice_shape}: it must be multiples of {STRIDE}.")

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 1."""
        dropped = epoch > round(self.optimiser.drop_after * self.epochs)
        return self.optimiser.learning_rate * (self.optimiser.drop_factor if dropped else 1.0)


PRESETS: dict[str, TrainConfig] = {
    "paper": TrainConfig(),
    "small": TrainConfig(width=16, epochs=100, sn_momentum=0.9),
    # Minutes on two processor cores. Half the resolution, so half the decay in pixels. As a mean over pixels l_l is a
    # hundredth of L_s; in so few epochs only a larger weight makes a DWI of the pseudo-DWI.
    "tiny": TrainConfig(
        width=8,
        epochs=10,
        sn_momentum=0.9,
        validation_share=0.15,
        loss=LossConfig(alpha=20.0, beta=20.0, decay=25.0),
        optimiser=OptimiserConfig(learning_rate=0.001),
        preprocess=PreprocessConfig(slice_shape=(128, 128)),
    ),
}
"""Complete configurations by name; ``ctpdeploy.config.load`` puts a file and overrides on top."""
