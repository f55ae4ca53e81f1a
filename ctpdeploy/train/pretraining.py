"""Pretraining of the context encoder Phi_c: codes from which the DWI can be drawn again.

Nothing of it is in the source, whose Phi_c learns with the others and may describe all images alike. Here it learns
first, as the encoder of an autoencoder over I_d, and then stays as it is: codes that a decoder can draw an image from
tell images apart.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.initialise import initialise

__all__ = ["pretrain"]

DRAWN: Final = 32
"""Rows and columns of the images that the decoder draws; 16 numbers tell no finer detail."""

STEPS: Final = 400
SLICES: Final = 16
LEARNING_RATE: Final = 0.002


def pretrain(encoder: ContextEncoder, images: Tensor, weight: Tensor, *, seed: int, steps: int = STEPS) -> float:
    """Let the encoder learn, in place, and no longer after that; a function of the arguments alone.

    Args:
        encoder: Phi_c, on some device.
        images: I_d of the training slices, float32 ``(N, 1, H, W)``, on any device.
        weight: A, float32 ``(N, H, W)``; errors count by its square, as in equation 7.
        seed: of the decoder's weights and of the order of slices.
        steps: of the optimiser.

    Returns:
        The mean weighted square error of the last tenth of the steps.
    """
    device = next(encoder.parameters()).device
    decoder = _decoder()
    initialise(decoder, torch.Generator().manual_seed(seed))
    decoder.to(device)
    encoder.requires_grad_(True)
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=LEARNING_RATE)
    random = np.random.default_rng([seed, len(images)])
    errors = []
    for _ in range(steps):
        chosen = torch.from_numpy(random.integers(len(images), size=SLICES)).to(images.device)
        image = images[chosen].to(device)
        wanted = functional.adaptive_avg_pool2d(image, DRAWN)
        counts = functional.adaptive_avg_pool2d(weight[chosen, None].to(device), DRAWN)
        error = (counts * (decoder(encoder(image)) - wanted)).square().mean()
        optimiser.zero_grad()
        torch.autograd.backward(error)
        optimiser.step()
        errors.append(error.detach())
    encoder.requires_grad_(False)
    return float(torch.stack(errors[-max(steps // 10, 1) :]).mean())


def _decoder() -> nn.Sequential:
    """Maps codes ``(N, 16)`` to images ``(N, 1, 32, 32)``."""
    layers: list[nn.Module] = [nn.Linear(16, 64 * 4 * 4), nn.Unflatten(1, (64, 4, 4))]
    for c, d in ((64, 32), (32, 16), (16, 16)):
        layers += [nn.ReLU(inplace=True), nn.ConvTranspose2d(c, d, kernel_size=2, stride=2)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Conv2d(16, 1, kernel_size=3, padding=1))
