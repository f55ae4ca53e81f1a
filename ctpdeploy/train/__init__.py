"""Training in PyTorch: networks, losses, data, the trainer and its run folder."""

from ctpdeploy.optional import require

require("torch", extra="train")
require("safetensors", extra="train")

from ctpdeploy.train.progress import OnProgress, ProgressEvent  # noqa: E402  after the check for its packages
from ctpdeploy.train.run_folder import open_run  # noqa: E402
from ctpdeploy.train.settings import PRESETS, AugmentConfig, ComputeConfig, LossConfig, OptimiserConfig, TrainConfig  # noqa: E402
from ctpdeploy.train.torch_engine import TorchEngine  # noqa: E402
from ctpdeploy.train.trainer import RunSummary, train  # noqa: E402

__all__ = [
    "PRESETS",
    "AugmentConfig",
    "ComputeConfig",
    "LossConfig",
    "OnProgress",
    "OptimiserConfig",
    "ProgressEvent",
    "RunSummary",
    "TorchEngine",
    "TrainConfig",
    "open_run",
    "train",
]
