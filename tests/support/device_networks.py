"""Networks of a few lines on the device that is the CPU, good and bad ones, and the same as an engine of the host."""

import gc
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ctpdeploy.emulator.device import HostDevice, host_view
from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda import DeviceArray, Workspace
from ctpdeploy.runtime.backends.cuda.device import Stream
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

Arrays = Mapping[str, DeviceArray]


def computed(frames: np.ndarray, features: np.ndarray) -> dict[str, np.ndarray]:
    """What the networks make of slices: every input counts, and no slice depends on another."""
    weights = np.arange(1, 12, dtype=np.float32)
    stacked = np.concatenate([frames, features], axis=1)
    mixed = (stacked * weights[:, None, None]).sum(axis=1, dtype=np.float32) / weights.sum()
    return {"probability": mixed, "pseudo_dwi": 1 - 2 * mixed[:, None], "extractor": mixed[:, None] * stacked[:, :1]}


@dataclass
class HostTwin:
    """An engine that computes the same on the host, or NaN."""

    value: float = 0.0
    closes: int = 0
    info: EngineInfo = field(default_factory=lambda: EngineInfo(backend="twin", device="host", precision="fp32"))

    def run(self, batch: SliceBatch) -> SliceOutputs:
        outputs = computed(batch.frames, batch.features)
        outputs["probability"] += self.value
        return SliceOutputs(**outputs)

    def close(self) -> None:
        self.closes += 1


@dataclass
class SmallNetwork:
    """A network on a ``HostDevice``.

    Attributes:
        workspace: its own.
        grid: rows and columns of its slices.
        most_slices: it takes at once.
        fits: more slices than these run out of memory.
        added: to all that it computes.
        fault: what its work raises when the stream comes so far.
        stream: where it queues; the stream of kernels is right.
        replay: what its graphs do: ``"same"``; ``"none"`` if there are none; wrong are ``"frozen"``, the numbers of the
            capture, ``"silent"``, which writes nothing, and ``"off"`` by a little.
        batches: sizes of the batches that it ran, in order.
        captures, replays, closes: how often it did.
        kept: its graphs.
    """

    workspace: Workspace
    grid: tuple[int, int]
    most_slices: int = 8
    fits: int = 1000
    added: float = 0.0
    fault: BackendError | None = None
    stream: Stream = None
    replay: str = "same"
    batches: list[int] = field(default_factory=list)
    captures: int = 0
    kept: list[weakref.ref] = field(default_factory=list)
    replays: int = 0
    closes: int = 0
    info: EngineInfo = field(default_factory=lambda: EngineInfo(backend="small", device="host", precision="fp16"))

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        return {"frames": (6, *self.grid), "features": (5, *self.grid)}

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        return {"probability": self.grid, "pseudo_dwi": (1, *self.grid), "extractor": (1, *self.grid)}

    @property
    def device(self) -> HostDevice:
        assert isinstance(self.workspace.device, HostDevice)
        return self.workspace.device

    def run(self, inputs: Arrays, outputs: Arrays) -> None:
        slices = inputs["frames"].shape[0]
        assert 1 <= slices <= self.most_slices
        assert all(array.shape[0] == slices for array in (*inputs.values(), *outputs.values()))
        self.batches.append(slices)
        if slices > self.fits:
            raise OutOfMemoryError(f"{slices} are too many.")
        fault = self.fault
        self.device.call(self.stream or self.workspace.kernels, lambda: self.compute(inputs, outputs, fault))

    def close(self) -> None:
        self.closes += 1

    def compute(self, inputs: Arrays, outputs: Arrays, fault: BackendError | None) -> None:
        results = computed(**{name: host_view(array) for name, array in inputs.items()})
        if fault is not None:
            raise fault
        for name, array in outputs.items():
            np.copyto(host_view(array), results[name] + np.float32(self.added))

    def capture(self, inputs: Arrays, outputs: Arrays) -> Callable[[], None] | None:
        self.captures += 1
        if self.replay == "none":
            return None
        graph = self.device.capture(self.workspace.kernels, lambda: self.run(inputs, outputs))
        self.batches.pop()  # nothing ran
        assert graph is not None
        kept: dict[str, np.ndarray] = {}

        def keep() -> None:
            kept.update({name: host_view(array).copy() for name, array in outputs.items()})

        def restore() -> None:
            for name, array in outputs.items():
                np.copyto(host_view(array), kept[name])

        self.device.call(self.workspace.kernels, keep)

        def launch() -> None:
            self.replays += 1
            if self.replay == "frozen":
                self.device.call(self.workspace.kernels, restore)
            elif self.replay != "silent":
                graph()
            if self.replay == "off":
                image = host_view(outputs["pseudo_dwi"])
                self.device.call(self.workspace.kernels, lambda: np.add(image, 1e-4, out=image))

        self.kept.append(weakref.ref(launch))
        return launch

    @property
    def graphs_alive(self) -> list[bool]:
        """Of each graph, whether somebody still has it."""
        gc.collect()
        return [graph() is not None for graph in self.kept]
