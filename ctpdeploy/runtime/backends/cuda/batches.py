"""A network over any number of slices, in batches that fit into the memory of the device.

The batches are even: 22 slices, 8 at most, go as 8, 7 and 7. So a case has two shapes at most and no batch that leaves
the GPU idle; every further shape costs an engine its preparations and a graph. Overlapping batches of one shape, 8, 8
and 8, would have one shape less and compute slices twice in every case.
"""

from collections.abc import Mapping

from ctpdeploy.errors import OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.device import DeviceArray
from ctpdeploy.runtime.backends.cuda.graph_cache import Replays
from ctpdeploy.runtime.backends.cuda.network import DeviceNetwork
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["Batches"]


class Batches:
    """Runs of a network over all slices of a case, in batches of as many as fit at once.

    Args:
        network: takes at most ``most_slices`` at once.
        workspace: the one that the network was opened for.

    Attributes:
        replays: of batches that come again.
    """

    def __init__(self, network: DeviceNetwork, workspace: Workspace) -> None:
        self.replays = Replays(network, workspace)
        self._most = network.most_slices

    def run(self, inputs: Mapping[str, DeviceArray], outputs: Mapping[str, DeviceArray]) -> tuple[Finding, ...]:
        """Queue all slices; arrays are ``(N, *shape)`` with the same N.

        Where the memory does not suffice, batches are halved, and stay so.

        Returns:
            Findings on fallbacks.

        Raises:
            OutOfMemoryError: it does not suffice for a single slice.
            BackendError: the device refuses.
        """
        slices = next(iter(inputs.values())).shape[0]
        most, start, halved, findings = self._most, 0, tuple[Finding, ...](), list[Finding]()
        while start < slices:
            stop = start + _even_part(slices - start, most)
            batch = [{name: array.rows(start, stop) for name, array in arrays.items()} for arrays in (inputs, outputs)]
            try:
                findings += self.replays.run(*batch)
            except OutOfMemoryError as error:
                most, halved = _halve(stop - start, error)
                self.replays.forget()  # graphs hold memory too, and no batch will be like theirs
            else:
                start = stop
        self._most = most
        return (*findings, *halved)


def _even_part(slices: int, most: int) -> int:
    """Size of the first of the fewest batches that are as even as can be, larger ones first."""
    return -(-slices // -(-slices // most))


def _halve(slices: int, error: OutOfMemoryError) -> tuple[int, tuple[Finding, ...]]:
    """The number to try where so many do not fit, with the finding."""
    if slices == 1:
        raise OutOfMemoryError(
            "The device has not enough memory for the networks, not even for one slice at a time: close other programs "
            "that use it, or take another backend."
        ) from error
    half = slices // 2
    sentence = (
        f"The device has not enough memory for {slices} slices at once: from this case on, at most {half} go at once."
    )
    return half, (finding("batches-halved", sentence),)
