"""Batches that come again, replayed as CUDA graphs: a launch for the whole chain instead of one for each layer.

A batch is identified by the names, shapes and addresses of its arrays. The first time it runs as it is and is captured
behind that. The second time, on other numbers, it runs as it is again, and the replay has to give the same; from the
third time on it is replayed. One replay that differs ends it for all.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ctpdeploy.errors import OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.network import DeviceNetwork
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["MOST_GRAPHS", "TOLERANCE", "Replays"]

MOST_GRAPHS: Final = 32
"""Graphs that are kept; each holds a few megabytes. A case of 22 slices, 8 at a time, has three."""

TOLERANCE: Final = 1e-6
"""Between a replay and the run itself, absolute and relative."""

_UNWRITTEN: Final = np.float32(-1e30)
"""In the outputs before a replay is compared: one that writes nothing must not find the right numbers there."""

Arrays = Mapping[str, DeviceArray]


@dataclass
class _Graph:
    """A batch that has run: its replay, if there is one, and whether that was found to do the same."""

    replay: Callable[[], None] | None
    proven: bool = False


class Replays:
    """Runs batches of a network, as graphs where that is proven to be the same.

    Args:
        network: takes them.
        workspace: the one that the network was opened for.
    """

    def __init__(self, network: DeviceNetwork, workspace: Workspace) -> None:
        self._network = network
        self._workspace = workspace
        self._graphs: OrderedDict[object, _Graph] = OrderedDict()
        self._replaced = workspace.replaced
        self._off = False

    @property
    def state(self) -> Literal["active", "pending", "disabled"]:
        """As in :class:`ctpdeploy.runtime.data.prediction.EngineInfo`."""
        if self._off:
            return "disabled"
        return "active" if any(graph.proven for graph in self._graphs.values()) else "pending"

    def run(self, inputs: Arrays, outputs: Arrays) -> tuple[Finding, ...]:
        """Queue a batch, as :meth:`DeviceNetwork.run`; a finding, if graphs are given up for it."""
        if self._off:
            self._network.run(inputs, outputs)
            return ()
        self._forget_stale()
        key = tuple((name, array.shape, array.address) for name, array in (*inputs.items(), *outputs.items()))
        graph = self._graphs.get(key)
        if graph is not None:
            self._graphs.move_to_end(key)
        if graph is None:
            self._network.run(inputs, outputs)
            self._capture(key, inputs, outputs)
        elif graph.replay is None:
            self._network.run(inputs, outputs)
        elif graph.proven:
            graph.replay()
        elif self._proves(graph.replay, inputs, outputs):
            graph.proven = True
        else:
            self._off = True
            self.forget()
            self._network.run(inputs, outputs)
            sentence = "CUDA graphs are off from this case on: one of them did not give what the networks give."
            return (finding("graphs-disabled", sentence),)
        return ()

    def forget(self) -> None:
        """Drop all graphs."""
        self._graphs.clear()

    def _forget_stale(self) -> None:
        """Drop graphs of memory that is no longer there, of this batch or inside the network."""
        if self._workspace.replaced != self._replaced:
            self._replaced = self._workspace.replaced
            self.forget()

    def _capture(self, key: object, inputs: Arrays, outputs: Arrays) -> None:
        try:
            replay = self._network.capture(inputs, outputs)
        except OutOfMemoryError:
            replay = None
        self._graphs[key] = _Graph(replay)
        if len(self._graphs) > MOST_GRAPHS:
            self._graphs.popitem(last=False)

    def _proves(self, replay: Callable[[], None], inputs: Arrays, outputs: Arrays) -> bool:
        """Whether a replay gives what the network gives; the outputs are those of the replay then."""
        device, kernels = self._workspace.device, self._workspace.kernels
        self._network.run(inputs, outputs)
        expected = {name: self._workspace.fetched(f"{name} of a run", array) for name, array in outputs.items()}
        found = {
            name: self._workspace.pinned(f"{name} of a replay", array.shape, array.dtype)
            for name, array in outputs.items()
        }
        for name, array in outputs.items():
            found[name].fill(_UNWRITTEN)
            device.upload(array, found[name], kernels)
        replay()
        for name, array in outputs.items():
            device.download(found[name], array, kernels)
        self._workspace.finish()
        return all(
            np.allclose(found[name], expected[name], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True) for name in outputs
        )
