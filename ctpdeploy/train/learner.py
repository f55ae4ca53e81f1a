"""The learner: the networks of a system and their optimiser."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_

from ctpdeploy.errors import GuardError, InputError
from ctpdeploy.paper.systems import System, system_named
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.train.all_reduce import in_group
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.networks.chain import Chain, source_channels
from ctpdeploy.train.networks.checkpoint import Network, load_network, save_networks
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.networks.initialise import initialise, set_prior
from ctpdeploy.train.networks.segmenters import make_segmenter
from ctpdeploy.train.networks.unet import UNet
from ctpdeploy.train.objective import Objective
from ctpdeploy.train.optimiser import averaged, make_optimiser
from ctpdeploy.train.optimiser_state import load_optimiser, save_optimiser
from ctpdeploy.train.pace import Pace
from ctpdeploy.train.pretraining import pretrain
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.stages import stages_of

__all__ = ["Learner", "make_chain"]

_AVERAGE = "average.safetensors"
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Learner:
    """The networks of a system, updated down the gradient (sections 3.4 and 4.1 of the source), stage after stage.

    Args:
        config: system, sizes, initial weights and loss.
        device: where to compute.

    Attributes:
        chain: Phi_e, Phi_g and Phi_s, or those of them that the system has.
        networks: these and Phi_c and the discriminator, by the names of their checkpoint files.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self._config, self._device, self._system = config, device, system_named(config.system)
        self.chain = make_chain(self._system, config)
        self.networks: dict[str, Network] = dict(self.chain.named_children())  # type: ignore[arg-type]
        synthesis = self._system.synthesis
        context = synthesis is not None and synthesis.context is not None and config.phi_c != "none"
        context_encoder = ContextEncoder() if context else None
        discriminator = Discriminator(len(MAP_NAMES) + 1, config.width) if synthesis and synthesis.adversarial else None
        if context_encoder is not None:
            self.networks["context_encoder"] = context_encoder
        if discriminator is not None:
            self.networks["discriminator"] = discriminator
        generator = torch.Generator().manual_seed(config.seed)
        for network in self.networks.values():
            initialise(network, generator)
        set_prior(self.chain.get_submodule("segmenter"), config.lesion_prior)
        self._objective = Objective(self._system, config.loss, self.chain, context_encoder, discriminator).to(device)
        compute = config.compute
        if compute.channels_last:
            self._objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compute.compile:
            self.chain.compile()
        dtype = _DTYPES[compute.precision]
        self._objective.autocast = partial(torch.autocast, device.type, dtype, enabled=dtype is not torch.float32)
        self.begin_stage(0)

    def begin_stage(self, number: int) -> None:
        """Turn to the networks of a stage, counted from 0, with a new optimiser; all others stay as they are."""
        learns = stages_of(self._config)[number].learns
        teachers = {"context_encoder", "discriminator"} if learns != ("segmenter",) else set()
        if self._config.phi_c != "joint":
            teachers -= {"context_encoder"}
        self._objective.learns = learns
        self._learning = [name for name in self.networks if name in teachers or name in learns]
        for name, network in self.networks.items():
            network.requires_grad_(name in self._learning)
        parameters = [p for name in self._learning for p in self.networks[name].parameters()]
        self._optimiser = make_optimiser(parameters, self._config.optimiser)
        self._average_anew()
        self._module: Callable[[Batch, float], dict[str, torch.Tensor]] | None = None
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._config.compute.precision == "fp16")

    @property
    def candidate(self) -> Chain:
        """What is validated and kept: the chain, or the one of averaged weights where the run averages."""
        return self.chain if self._average is None else self._average.module  # type: ignore[return-value]

    def pretrain(self, slices: Batch) -> None:
        """Let Phi_c learn what the DWI of some slices looks like, where it is to learn before the others."""
        encoder = self.networks.get("context_encoder")
        if self._config.phi_c == "pretrained" and isinstance(encoder, ContextEncoder) and slices.dwi is not None:
            pretrain(encoder, slices.dwi, slices.weight, seed=self._config.seed)

    def begin_epoch(self) -> None:
        """Turn to training."""
        for name, network in self.networks.items():
            network.train(name in self._learning)  # what has learned keeps its running statistics

    def step(self, batch: Batch, pace: Pace) -> dict[str, float]:
        """One step of the optimiser down the gradient of a mini-batch's loss.

        Args:
            batch: of training slices.
            pace: of this step.

        Returns:
            The terms of the loss, ``"total"`` and ``"gradient_norm"``.

        Raises:
            GuardError: the loss or its gradient is not finite; the message names the network.
        """
        if self._config.compute.channels_last:
            batch = batch.map(_channels_last)
        if self._module is None:  # only now: of two wrappers around one module both would average its gradients
            self._module = DistributedDataParallel(self._objective) if in_group() else self._objective
        terms = self._module(batch, pace.synthesis)
        self._optimiser.zero_grad()
        torch.autograd.backward(self._scaler.scale(terms["total"]))
        self._scaler.unscale_(self._optimiser)
        terms["gradient_norm"] = self._gradient_norm(self._learning)
        values = torch.stack([term.detach() for term in terms.values()]).tolist()
        measured = dict(zip(terms, values, strict=True))
        self._check(measured)
        if self._config.optimiser.clip_norm:
            parameters = [p for name in self._learning for p in self.networks[name].parameters()]
            clip_grads_with_norm_(parameters, self._config.optimiser.clip_norm, terms["gradient_norm"])
        for group in self._optimiser.param_groups:
            group["lr"] = pace.learning_rate
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.chain)
        return measured

    def _gradient_norm(self, names: list[str]) -> torch.Tensor:
        """Euclidean norm of the gradient of some networks."""
        gradients = [p.grad for name in names for p in self.networks[name].parameters() if p.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def _check(self, measured: dict[str, float]) -> None:
        """Refuse a loss or a gradient that is not finite.

        With float16 a gradient that overflows is expected now and then: the scaler leaves that step out.
        """
        if not math.isfinite(measured["total"]):
            raise GuardError(f"The loss is {measured['total']}: lower the learning rate.")
        if not self._scaler.is_enabled() and not math.isfinite(measured["gradient_norm"]):
            bad = [name for name in self._learning if not self._gradient_norm([name]).isfinite()]
            raise GuardError(f"The gradient of {bad[0]} is not finite: lower the learning rate.")

    def save(self, folder: Path) -> None:
        """Write networks and optimiser, and the averaged weights where the run averages."""
        save_networks(folder, self.networks, self.chain.wiring)
        if self._average is not None:
            save_file(self._average.state_dict(), folder / _AVERAGE)
        save_optimiser(self._optimiser, folder / "optimiser.safetensors")
        if self._scaler.is_enabled():
            (folder / "scaler.json").write_text(json.dumps(self._scaler.state_dict()), encoding="utf-8")

    def save_networks(self, folder: Path) -> None:
        """Write the networks alone, as they are validated."""
        save_networks(folder, self.networks | dict(self.candidate.named_children()), self.chain.wiring)  # type: ignore[arg-type]

    def load(self, folder: Path) -> None:
        """Take over networks and optimiser of the same stage as :meth:`save` wrote them.

        Raises:
            InputError: a file is missing or does not fit.
        """
        self.load_networks(folder)
        if self._average is not None:
            try:
                self._average.load_state_dict(load_file(folder / _AVERAGE))
            except (OSError, SafetensorError, RuntimeError) as error:
                raise InputError(f"{folder / _AVERAGE} holds no average that fits: {error}.") from error
        load_optimiser(self._optimiser, folder / "optimiser.safetensors")
        if self._scaler.is_enabled():
            self._scaler.load_state_dict(json.loads((folder / "scaler.json").read_text(encoding="utf-8")))

    def load_networks(self, folder: Path) -> None:
        """Take over the networks alone.

        Raises:
            InputError: a file is missing or does not fit.
        """
        for name, network in self.networks.items():
            saved = load_network(folder / f"{name}.safetensors", type(network))
            network.load_state_dict(saved.state_dict())
        self._average_anew()

    def _average_anew(self) -> None:
        """Begin the average with the weights as they are."""
        decay = self._config.optimiser.average
        self._average = averaged(self.chain, decay) if decay else None


def make_chain(system: System, config: TrainConfig) -> Chain:
    """The networks of a system that turn a case into a lesion, with weights still to be filled in."""
    networks: dict[str, torch.nn.Module] = {}
    for role, sees in system.wiring.items():
        channels = source_channels(sees, config.preprocess.frames)
        networks[role] = (
            make_segmenter(
                system.segmenter,
                channels,
                width=config.width,
                sn_momentum=config.sn_momentum,
                sn_debias=config.sn_debias,
            )
            if role == "segmenter"
            else UNet(channels, 1, config.width)
        )
    return Chain(system.wiring, networks)  # type: ignore[arg-type]


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
