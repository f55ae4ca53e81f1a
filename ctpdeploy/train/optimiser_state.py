"""The state of the optimiser as safetensors: ``0.square_avg``, ``0.step`` and so on, numbered as the parameters are."""

from collections import defaultdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctpdeploy.errors import InputError

__all__ = ["load_optimiser", "save_optimiser"]


def save_optimiser(optimiser: torch.optim.Optimizer, file: Path) -> None:
    """Write the tensors of an optimiser; its settings are those of the run's configuration."""
    state = optimiser.state_dict()["state"]
    save_file({f"{i}.{key}": t.cpu().contiguous() for i, own in state.items() for key, t in own.items()}, file)


def load_optimiser(optimiser: torch.optim.Optimizer, file: Path) -> None:
    """Read the tensors of an optimiser over the same parameters, in place.

    Raises:
        InputError: the file is missing or does not fit.
    """
    state: defaultdict[int, dict[str, Tensor]] = defaultdict(dict)
    try:
        for name, tensor in load_file(file).items():
            number, key = name.split(".")
            state[int(number)][key] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": dict(state), "param_groups": groups})
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{file} is no optimiser state that fits: {error}.") from error
