"""The objective of training: L = L_s + alpha L_g + beta L_e (equation 15), or the terms of it that a stage has."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ctpdeploy.paper.systems import Role, Synthesis, System
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.losses.adversarial import discriminator_loss, generator_loss
from ctpdeploy.train.losses.segmentation import SEGMENTATION_TERMS
from ctpdeploy.train.losses.synthesis import context_loss, pixel_loss
from ctpdeploy.train.networks.batch_norm import pool_slices
from ctpdeploy.train.networks.chain import OUTPUTS, Chain
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.settings import LossConfig

__all__ = ["Objective"]

Terms = dict[str, Tensor]


class Objective(nn.Module):
    """The networks of a system and their loss, as one module from mini-batch to scalars.

    Args:
        system: which terms there are.
        config: weights of the terms.
        chain: Phi_e, Phi_g, Phi_s.
        context_encoder: Phi_c, where the system has a context loss.
        discriminator: where it has an adversarial one.

    Attributes:
        learns: the networks that learn now; terms that reach none of them are left out.
        autocast: makes the context in which the networks run; losses are float32 whatever it is.
    """

    def __init__(
        self,
        system: System,
        config: LossConfig,
        chain: Chain,
        context_encoder: ContextEncoder | None,
        discriminator: Discriminator | None,
    ) -> None:
        super().__init__()
        self.chain, self.context_encoder, self.discriminator = chain, context_encoder, discriminator
        self.learns: tuple[Role, ...] = system.stages[0]
        self.autocast: Callable[[], AbstractContextManager[object]] = nullcontext
        self._system, self._config = system, config

    def forward(self, batch: Batch, synthesis_share: float = 1.0) -> Terms:
        """The terms of the loss by name, before their weights, and ``"total"``, the one to differentiate.

        ``synthesis_share`` is that of alpha and beta with which L_g and L_e enter it.

        ``context_spread``, no part of the loss, is the standard deviation of Phi_c(I_d) over the batch: where it falls
        to 0, Phi_c has one code for every image and the context losses teach nothing.
        """
        with self.autocast():
            outputs = self.chain(batch.frames, batch.features, batch.dwi, upto=self.learns[-1])
        outputs = {name: output.float() for name, output in outputs.items()}
        terms: Terms = {}
        total = torch.zeros((), device=batch.lesion.device)
        if "segmenter" in self.learns:
            terms |= self._segmentation(outputs[OUTPUTS["segmenter"]], batch)
            total = total + sum(terms.values())
        synthesis, dwi = self._system.synthesis, batch.dwi
        if synthesis is None or dwi is None:
            return {"total": total} | terms
        if "generator" in self.learns:
            image = outputs[OUTPUTS["generator"]]
            loss, own = self._likeness(image, dwi, batch.weight, synthesis)
            total, terms = total + synthesis_share * self._config.alpha * loss, terms | own
            if self.discriminator is not None:
                own = self._adversarial(image, dwi, batch.features, self.discriminator)
                total, terms = total + sum(own.values()), terms | own
        if "extractor" in self.learns and synthesis.supervised_extractor:
            loss, own = self._likeness(outputs[OUTPUTS["extractor"]], dwi, batch.weight, synthesis)
            total = total + synthesis_share * self._config.beta * loss
            terms |= {f"extractor_{name}": term for name, term in own.items()}
        return {"total": total} | terms

    def _segmentation(self, logits: Tensor, batch: Batch) -> Terms:
        """The terms of L_s (equation 11), or those that stand in its place."""
        return {
            name: SEGMENTATION_TERMS[name](logits, batch.lesion, batch.weight, self._config.dice_per_image)
            for name in self._system.loss
        }

    def _likeness(self, image: Tensor, dwi: Tensor, weight: Tensor, synthesis: Synthesis) -> tuple[Tensor, Terms]:
        """L_g = l_l + gamma l_h (equations 6 to 8) and its terms; L_e is L_g with F_h in place of I_g."""
        loss, terms = image.new_zeros(()), Terms()
        if synthesis.pixel is not None:
            terms["pixel"] = pixel_loss(image, dwi, weight, kind=synthesis.pixel, norm=self._config.pixel_norm)
            loss = loss + synthesis.pixel_weight * terms["pixel"]
        if synthesis.context is not None and self.context_encoder is not None:
            with self.autocast():
                codes = self.context_encoder(torch.cat([image, dwi]))
            code, target = codes.float().chunk(2)
            terms["context"] = context_loss(code, target, order=synthesis.context)
            terms["context_spread"] = _spread(target.detach())
            loss = loss + self._config.gamma * terms["context"]
        return loss, terms

    def _adversarial(self, image: Tensor, dwi: Tensor, features: Tensor, discriminator: Discriminator) -> Terms:
        """Adversarial losses: of the generator for its image, and of the discriminator for that and the real one.

        Both come from one pass, as in pix2pixHD. The generator is judged by copies of the discriminator's weights that
        take no gradient, so that one backward pass and one optimiser serve both.
        """
        maps = features[:, : len(MAP_NAMES)]
        fixed = {name: parameter.detach() for name, parameter in discriminator.named_parameters()}
        with self.autocast():
            judged = functional_call(discriminator, fixed, (torch.cat([maps, image], dim=1),))
            real = discriminator(torch.cat([maps, dwi], dim=1))
            fake = discriminator(torch.cat([maps, image.detach()], dim=1))
        return {"adversarial": generator_loss(judged), "discriminator": discriminator_loss(real, fake)}


def _spread(codes: Tensor) -> Tensor:
    """Mean over the components of ``(N, C)`` of their standard deviation over the batch of all processes."""
    _, variance, _ = pool_slices(codes, torch.zeros_like(codes))
    return variance.sqrt().mean()
