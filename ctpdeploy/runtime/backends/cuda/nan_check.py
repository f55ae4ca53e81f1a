"""Looking for NaN and infinity on the device."""

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime.backends.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.backends.cuda.workspace import Workspace

__all__ = ["flag_nonfinite"]

_BLOCKS = 256


def flag_nonfinite(workspace: Workspace, name: str, rows: DeviceArray, count: int) -> NDArray[np.int32]:
    """Queue the search, in the stream of kernels.

    Args:
        workspace: where.
        name: of what is looked at.
        rows: float32 ``(R, pitch)``.
        count: how many numbers of each row count.

    Returns:
        int32 ``(R,)``, on the host once the stream has come so far: 1 for a row with NaN or infinity, else 0.
    """
    flags = workspace.sent(f"flags of {name}", np.zeros(rows.shape[0], dtype=np.int32))
    grid = (min(_BLOCKS, -(-count // THREADS)), rows.shape[0], 1)
    workspace.launch("flag_nonfinite", grid, (rows, np.int64(rows.shape[1]), np.int64(count), flags))
    return workspace.fetched(f"flags of {name}", flags)
