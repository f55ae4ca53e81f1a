"""The chain of networks, from CT perfusion to lesion logits (equations 4, 5 and 10).

Each network takes the concatenation of some tensors by name and adds its output under a name of its own. The source's
system::

    extractor   frames                    -> extractor    F_h
    generator   features, extractor       -> pseudo_dwi   I_g
    segmenter   pseudo_dwi                -> logits

Others lack an extractor, or a generator too, or show the segmenter something else; see ``ctpdeploy.paper.systems``.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ctpdeploy.runtime.data.case import MAP_NAMES

__all__ = ["OUTPUTS", "Chain", "Wiring", "source_channels"]

OUTPUTS = {"extractor": "extractor", "generator": "pseudo_dwi", "segmenter": "logits"}
"""Name of each network's output, in the order in which they run."""

Wiring = Mapping[str, tuple[str, ...]]
"""Inputs by network: ``frames``, ``features``, ``maps``, ``dwi``, or the output of an earlier network."""


class Chain(nn.Module):
    """Phi_e, Phi_g and Phi_s end to end, or those of them that a system has; gradients flow through all.

    Args:
        wiring: inputs of each network.
        networks: as many, by the same names.

    Attributes:
        wiring: inputs of each network, in the order in which they run.
    """

    def __init__(self, wiring: Wiring, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.wiring = {role: tuple(wiring[role]) for role in OUTPUTS if role in wiring}
        for role in self.wiring:
            self.add_module(role, networks[role])

    def forward(
        self, frames: Tensor, features: Tensor, dwi: Tensor | None = None, upto: str = "segmenter"
    ) -> dict[str, Tensor]:
        """Run the networks; returns the output of each, by the names in ``OUTPUTS``.

        Args:
            frames: I*, ``(N, 6, H, W)``.
            features: F_o and F_l, ``(N, 5, H, W)``: CBF, CBV, MTT, Tmax, MIP.
            dwi: I_d, ``(N, 1, H, W)``, for the systems that see it.
            upto: the last network to run.

        Raises:
            InputError: H or W is no multiple of a network's stride.
        """
        tensors = {"frames": frames, "features": features, "maps": features[:, : len(MAP_NAMES)]}
        if dwi is not None:
            tensors["dwi"] = dwi
        outputs: dict[str, Tensor] = {}
        for role, sees in self.wiring.items():
            outputs[OUTPUTS[role]] = self.get_submodule(role)(joined(tensors | outputs, sees))
            if role == upto:
                break
        return outputs


def joined(tensors: Mapping[str, Tensor], sees: Iterable[str]) -> Tensor:
    """Input of a network: the named tensors as channels of one."""
    seen = [tensors[name] for name in sees]
    return seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)


def source_channels(sees: Iterable[str], frames: int) -> int:
    """Number of input channels of a network.

    Args:
        sees: names of its inputs.
        frames: C_e, channels of ``frames``.
    """
    channels = {"frames": frames, "features": len(MAP_NAMES) + 1, "maps": len(MAP_NAMES)}
    return sum(channels.get(name, 1) for name in sees)
