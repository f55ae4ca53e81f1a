"""Networks on disk: one self-describing safetensors file each.

The file's metadata carries, as one JSON text, the name of the architecture, the arguments of its constructor, and for a
network of a chain its inputs.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ctpdeploy.errors import InputError
from ctpdeploy.train.networks.chain import OUTPUTS, Chain, Wiring
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.networks.fcn import FCN
from ctpdeploy.train.networks.r2unet import R2UNet
from ctpdeploy.train.networks.resunet import ResUNet
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.unet import UNet

__all__ = ["Network", "load_chain", "load_network", "save_networks"]

Network = UNet | FCN | R2UNet | ResUNet | ContextEncoder | Discriminator
"""Any network of the pipeline; SLNet is a UNet."""

ARCHITECTURES: dict[str, type[Network]] = {
    "UNet": UNet,
    "SLNet": SLNet,
    "FCN": FCN,
    "R2UNet": R2UNet,
    "ResUNet": ResUNet,
    "ContextEncoder": ContextEncoder,
    "Discriminator": Discriminator,
}

Kind = TypeVar("Kind", bound=Network)


def save_networks(folder: Path, networks: Mapping[str, Network], wiring: Wiring | None = None) -> None:
    """Write each network to ``folder / NAME.safetensors``; the folder must exist.

    Args:
        folder: where to.
        networks: by the names of their files.
        wiring: inputs of each network of a chain.
    """
    for name, network in networks.items():
        # one entry: safetensors writes several in random order, and equal networks would differ in bytes
        description = {"architecture": type(network).__name__, "arguments": network.arguments}
        if wiring and name in wiring:
            description["sees"] = wiring[name]
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors", metadata={"network": json.dumps(description)})


def load_network(file: Path, kind: type[Kind]) -> Kind:
    """Rebuild a network from its file, on the CPU, in evaluation mode.

    Raises:
        InputError: the file is missing, is no checkpoint of this architecture, or does not fit it.
    """
    network, _ = _load(file)
    if type(network) is not kind:
        raise InputError(f"{file} holds a {type(network).__name__}, not a {kind.__name__}.")
    return network


def load_chain(folder: Path) -> Chain:
    """Load the networks of a checkpoint folder that make up a chain, in evaluation mode.

    Raises:
        InputError: a file is missing or does not fit.
    """
    networks: dict[str, nn.Module] = {}
    wiring: dict[str, tuple[str, ...]] = {}
    wanted = ["segmenter"]
    while wanted:  # from the end of the chain to its beginning
        role = wanted.pop()
        networks[role], sees = _load(folder / f"{role}.safetensors")
        wiring[role] = tuple(sees)
        wanted += [earlier for earlier, output in OUTPUTS.items() if output in sees]
    return Chain(wiring, networks).eval()


def _load(file: Path) -> tuple[Network, list[str]]:
    """A network and the names of its inputs."""
    try:
        with safe_open(file, framework="pt") as checkpoint:
            description = json.loads((checkpoint.metadata() or {})["network"])
            tensors = {key: checkpoint.get_tensor(key) for key in checkpoint.keys()}  # noqa: SIM118  no mapping
        network = ARCHITECTURES[description["architecture"]](**description["arguments"])
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{file} is no network checkpoint that can be read: {error}.") from error
    return network.eval(), description.get("sees", [])
