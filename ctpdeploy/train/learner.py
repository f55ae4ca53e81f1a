"""What learns: the four networks and their optimiser."""

from pathlib import Path

import torch
from torch import Tensor

from ctpdeploy.runtime.preprocess import FEATURE_NAMES
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.losses.objective import LossTerms, objective
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.checkpoint import Network, load_network, save_networks
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.initialise import initialise
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.unet import UNet
from ctpdeploy.train.optimiser_state import load_optimiser, save_optimiser
from ctpdeploy.train.settings import TrainConfig

__all__ = ["Learner"]


class Learner:
    """Phi_e, Phi_g, Phi_s and Phi_c, updated together by RMSprop (section 3.4 of the source).

    Args:
        config: sizes, initial weights and loss.
        device: where to compute.

    Attributes:
        chain: Phi_e, Phi_g and Phi_s.
        context_encoder: Phi_c; stays as initialised where the configuration says so.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.chain = Chain(
            extractor=UNet(config.preprocess.frames, 1, config.width),
            generator=UNet(len(FEATURE_NAMES) + 1, 1, config.width),
            slnet=SLNet(1, 2, config.width, momentum=config.sn_momentum),
        )
        self.context_encoder = ContextEncoder()
        generator = torch.Generator().manual_seed(config.seed)
        for network in self.networks.values():
            initialise(network, generator)
            network.to(device)
        self.context_encoder.requires_grad_(config.phi_c == "joint")
        learning = [p for network in self.networks.values() for p in network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.RMSprop(learning, lr=config.optimiser.learning_rate, alpha=0.99, eps=1e-8)
        self._loss = config.loss
        self._device = device

    @property
    def networks(self) -> dict[str, Network]:
        """The networks by the names of their checkpoint files."""
        return {
            "extractor": self.chain.extractor,
            "generator": self.chain.generator,
            "slnet": self.chain.slnet,
            "context_encoder": self.context_encoder,
        }

    def begin_epoch(self, learning_rate: float) -> None:
        """Turn to training, at a learning rate."""
        self.chain.train()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate

    def loss(self, batch: Batch) -> LossTerms:
        """The loss of a mini-batch; updates running statistics, not weights."""
        frames, features, dwi, lesion, weight = batch.to(self._device)
        outputs = self.chain(frames, features)
        return objective(outputs, dwi, lesion, weight, self.context_encoder, self._loss)

    def update(self, loss: Tensor) -> None:
        """One step of the optimiser down the gradient of a loss."""
        self._optimiser.zero_grad()
        torch.autograd.backward(loss)
        self._optimiser.step()

    def save(self, folder: Path) -> None:
        """Write networks and optimiser."""
        save_networks(folder, self.networks)
        save_optimiser(self._optimiser, folder / "optimiser.safetensors")

    def load(self, folder: Path) -> None:
        """Take over networks and optimiser as :meth:`save` wrote them.

        Raises:
            InputError: a file is missing or does not fit.
        """
        for name, network in self.networks.items():
            saved = load_network(folder / f"{name}.safetensors", type(network))
            network.load_state_dict(saved.state_dict())
        load_optimiser(self._optimiser, folder / "optimiser.safetensors")
