"""Networks on disk: one safetensors file each, which says by itself what it holds.

The file's metadata carries, as one JSON text, the name of the architecture and the arguments of its constructor.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ctpdeploy.errors import InputError
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.unet import UNet

__all__ = ["Network", "load_chain", "load_network", "save_networks"]

Network = UNet | ContextEncoder
"""Any network of the pipeline; SLNet is a UNet."""

ARCHITECTURES: dict[str, type[UNet] | type[ContextEncoder]] = {
    "UNet": UNet,
    "SLNet": SLNet,
    "ContextEncoder": ContextEncoder,
}

Kind = TypeVar("Kind", bound=UNet | ContextEncoder)


def save_networks(folder: Path, networks: Mapping[str, Network]) -> None:
    """Write each network to ``folder / NAME.safetensors``; the folder must exist."""
    for name, network in networks.items():
        # one entry: safetensors writes several in random order, and equal networks would differ in bytes
        description = {"architecture": type(network).__name__, "arguments": network.arguments}
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors", metadata={"network": json.dumps(description)})


def load_network(file: Path, kind: type[Kind]) -> Kind:
    """Rebuild a network from its file, on the CPU, in evaluation mode.

    Raises:
        InputError: the file is missing, is no checkpoint of this architecture, or does not fit it.
    """
    try:
        with safe_open(file, framework="pt") as checkpoint:
            description = json.loads((checkpoint.metadata() or {})["network"])
            tensors = {key: checkpoint.get_tensor(key) for key in checkpoint.keys()}  # noqa: SIM118  no mapping
        network = ARCHITECTURES[description["architecture"]](**description["arguments"])
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{file} is no network checkpoint that can be read: {error}.") from error
    if type(network) is not kind:
        raise InputError(f"{file} holds a {type(network).__name__}, not a {kind.__name__}.")
    return network.eval()


def load_chain(folder: Path) -> Chain:
    """Load extractor, generator and SLNet of a checkpoint folder, in evaluation mode.

    Raises:
        InputError: a file is missing or does not fit.
    """
    return Chain(
        extractor=load_network(folder / "extractor.safetensors", UNet),
        generator=load_network(folder / "generator.safetensors", UNet),
        slnet=load_network(folder / "slnet.safetensors", SLNet),
    ).eval()
