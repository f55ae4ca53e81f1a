"""The engine around a network that takes one slice at a time: that of every backend on the processor."""

from ctpdeploy.runtime.backends.engine import Engine, closed
from ctpdeploy.runtime.backends.slices import SliceNetwork, run_slices
from ctpdeploy.runtime.bundle.bundle import Network
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["SliceEngine"]


class SliceEngine(Engine):
    """A merged network as an :class:`Engine`. Slices of air, all zeros, are computed once in a batch.

    Args:
        network: the merged network, which the engine owns from now on.
        sealed: its entry in the bundle.
        info: on the engine, for the report.
        at_once: slices that run at the same time, each in a thread of its own.
    """

    def __init__(self, network: SliceNetwork, sealed: Network, info: EngineInfo, *, at_once: int = 1) -> None:
        self._network: SliceNetwork | None = network
        self._shapes = {name: tuple(int(n) for n in shape[1:]) for name, shape in sealed.inputs.items()}
        self._info = info
        self._at_once = at_once

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        return self._info

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        if self._network is None:
            raise closed(self._info.backend)
        return run_slices(self._network.run, batch, self._shapes, at_once=self._at_once)

    def close(self) -> None:
        """Close the network."""
        network, self._network = self._network, None
        if network is not None:
            network.close()
