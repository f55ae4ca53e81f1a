"""Configuration of a training run, and the presets.

Every default is the source's own value (section 4.1), for its 256x256 slices and full width.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from ctpdeploy.errors import UsageError
from ctpdeploy.paper.systems import system_named
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.case_facts import StatedKind
from ctpdeploy.train.losses.synthesis import PixelNorm
from ctpdeploy.train.networks.unet import STRIDE

__all__ = ["PRESETS", "AugmentConfig", "ComputeConfig", "LossConfig", "OptimiserConfig", "TrainConfig"]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the total loss.

    Attributes:
        alpha: weight of the synthesis loss L_g of the pseudo-DWI (equation 15).
        beta: weight of the synthesis loss L_e of the extractor's output (equation 15).
        anneal: share of alpha and beta that is left at the end of a stage, falling evenly; 1 as in the source.
        gamma: weight of the context loss within L_g and L_e (equation 6).
        lesion_weight: w, weight of a lesion pixel (equation 9).
        decay: D, pixels over which the weight falls off around a lesion (equation 9).
        pixel_norm: how l_l adds up over batch and pixels (equation 7, which prints a norm and is motivated by the mean
            squared error): the mean; the norm of each image, averaged over the batch; or the plain sum.
        dice_per_image: L_GD and L_HGD for each slice, averaged, rather than with one sum over the mini-batch.
    """

    alpha: float = 1.0
    beta: float = 1.0
    anneal: float = 1.0
    gamma: float = 1.2
    lesion_weight: float = 1.5
    decay: float = 50.0
    pixel_norm: PixelNorm = "mean"
    dice_per_image: bool = False


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """The optimiser and its learning rate, which :mod:`ctpdeploy.train.optimiser` makes.

    Attributes:
        name: RMSprop, as in the source, or AdamW.
        learning_rate: the largest.
        schedule: how it falls: at once, as in the source, or along a cosine to 0.
        warm_up: share of the steps over which it rises from 0.
        drop_after: share of the steps after which it drops in the schedule ``step``; the source's 180 of 300 epochs.
        drop_factor: of the learning rate at that point.
        weight_decay: of AdamW.
        clip_norm: Euclidean norm to which a longer gradient is shortened; 0 for none.
        average: weight of the old value in the moving average of the weights, which then is what is validated and
            kept; 0 for the weights themselves.
    """

    name: Literal["rmsprop", "adamw"] = "rmsprop"
    learning_rate: float = 0.002
    schedule: Literal["step", "one_cycle"] = "step"
    warm_up: float = 0.0
    drop_after: float = 0.6
    drop_factor: float = 0.2
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    average: float = 0.0

    def __post_init__(self) -> None:
        for name in ("warm_up", "average"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must be at least 0 and under 1.")
        for name in ("weight_decay", "clip_norm"):
            if getattr(self, name) < 0.0:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must not be negative.")
        if self.weight_decay and self.name != "adamw":
            raise UsageError(f"'weight_decay' is {self.weight_decay}, and {self.name} has none: choose name=adamw.")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of the training slices, drawn anew each epoch; none in the source.

    Attributes:
        flip: mirror left and right, every other slice.
        rotation: largest angle in degrees, either way.
        scaling: largest change of size as a fraction, either way.
    """

    flip: bool = False
    rotation: float = 0.0
    scaling: float = 0.0

    def __post_init__(self) -> None:
        if self.rotation < 0.0:
            raise UsageError(f"'rotation' is {self.rotation}: it must not be negative.")
        if not 0.0 <= self.scaling < 1.0:
            raise UsageError(f"'scaling' is {self.scaling}: it must be at least 0 and under 1.")


@dataclass(frozen=True, kw_only=True)
class ComputeConfig:
    """Settings of the arithmetic; results stay the same but for rounding.

    Attributes:
        precision: of the networks' convolutions and products; losses and statistics are float32 in all of them.
        channels_last: lay tensors out as ``(N, H, W, C)``, which GPUs with tensor cores prefer.
        compile: translate the networks with ``torch.compile``.
    """

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = False
    compile: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        system: which row of the source's tables, by its name in ``ctpdeploy.paper.systems``.
        width: channels of the first level of each network.
        epochs: passes over the training slices, in each stage of the system.
        warm_start: epochs in which Phi_e and Phi_g learn alone before they learn with Phi_s; none in the source.
        batch_size: slices a step.
        sn_momentum: weight of the old value in SLNet's running statistics.
        sn_debias: divide these by what they still lack of their start at zero.
        phi_c: whether the context encoder learns with the others, as in the source, stays as initialised, learns before
            them to describe the DWI (:mod:`ctpdeploy.train.pretraining`), or is left out with its loss. Learning with
            them, it can make its loss vanish by describing every image alike.
        validation_share: share of the patients that choose the best epoch and are not trained on.
        test_share: share of the patients that this run never reads.
        keep: which networks a stage keeps: those of the epoch with the best validation score, or those of its last
            epoch, which a learning rate that falls to 0 makes the better choice wherever few patients validate.
        lesion_prior: probability of lesion in every pixel that the segmenter starts with; 0.5 as in the source.
        seed: of the initial weights and the order of slices.
        split_seed: of the split.
        data_kind: what the cases are that do not say that they are phantoms: ``patients``, where you know it, for the
            model card.
        loss: weights of the loss.
        optimiser: its settings.
        augment: random changes of the slices.
        compute: how the arithmetic is done.
        preprocess: constants that travel with the networks.
        perfusion: how maps are computed where a case has none; travels likewise.
    """

    system: str = "dwi_olh"
    width: int = 64
    epochs: int = 300
    warm_start: int = 0
    batch_size: int = 5
    sn_momentum: float = 0.997
    sn_debias: bool = True
    phi_c: Literal["joint", "frozen", "pretrained", "none"] = "joint"
    validation_share: float = 0.1
    test_share: float = 0.0
    keep: Literal["best", "last"] = "best"
    lesion_prior: float = 0.5
    seed: int = 0
    split_seed: int = 0
    data_kind: StatedKind = "unknown"
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    perfusion: PerfusionConfig = field(default_factory=PerfusionConfig)

    @property
    def augmentation(self) -> AugmentConfig:
        """Changes that the slices undergo: ``augment``, and all that it leaves out where the system is augmented."""
        if not system_named(self.system).augmented:
            return self.augment
        return AugmentConfig(flip=True, rotation=self.augment.rotation or 10.0, scaling=self.augment.scaling or 0.1)

    def __post_init__(self) -> None:
        for name in ("width", "epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must be at least 1.")
        if self.warm_start < 0:
            raise UsageError(f"'warm_start' is {self.warm_start}: it must not be negative.")
        for name in ("sn_momentum", "validation_share", "lesion_prior"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise UsageError(f"'{name}' is {getattr(self, name)}: it must lie between 0 and 1.")
        if not 0.0 <= self.test_share < 1.0 - self.validation_share:
            raise UsageError(f"'test_share' is {self.test_share}: it must leave patients to train on.")
        system_named(self.system)
        if self.preprocess.threshold != PreprocessConfig.threshold:
            raise UsageError(
                f"'threshold' is {self.preprocess.threshold}: a run finds its own at its end; leave it out."
            )
        if any(size % STRIDE for size in self.preprocess.slice_shape):
            raise UsageError(f"'slice_shape' is {self.preprocess.slice_shape}: it must be multiples of {STRIDE}.")


_RECIPE = TrainConfig(
    batch_size=10,
    sn_momentum=0.9,
    phi_c="none",
    keep="last",
    lesion_prior=0.02,
    optimiser=OptimiserConfig(
        name="adamw", learning_rate=0.003, schedule="one_cycle", warm_up=0.1, weight_decay=1e-4, clip_norm=1.0
    ),
    augment=AugmentConfig(flip=True, rotation=10.0),
    compute=ComputeConfig(channels_last=True),
    preprocess=PreprocessConfig(slice_shape=(208, 160), pixel_mm=1.0, frame_means=True, cta_window=(0.0, 100.0)),
)
"""What made every run learn, and half the pixels do: ``docs/results.md`` takes it apart."""

PRESETS: dict[str, TrainConfig] = {
    "paper": TrainConfig(),
    "small": replace(_RECIPE, width=16, epochs=40, warm_start=10),
    # Minutes on two processor cores: pixels of 2 mm, so half the decay in pixels. As a mean over pixels l_l is a
    # hundredth of L_s; in so few epochs only a larger weight makes a DWI of the pseudo-DWI.
    "tiny": replace(
        _RECIPE,
        width=8,
        epochs=8,
        warm_start=2,
        loss=LossConfig(alpha=20.0, beta=20.0, decay=25.0),
        preprocess=replace(_RECIPE.preprocess, slice_shape=(96, 80), pixel_mm=2.0),
    ),
}
"""Complete configurations by name; ``ctpdeploy.config.load`` puts a file and overrides on top."""
