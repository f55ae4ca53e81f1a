"""The kernels on tensors: buffers, threads, and addresses."""

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.native.buffer_pool import BufferPool, PooledBuffer
from ctpdeploy.runtime.backends.native.lazy_tensor import ChannelVector, PendingTensor
from ctpdeploy.runtime.backends.native.library import SourceOfKernel, WindowOfKernel, address, load_library
from ctpdeploy.runtime.backends.native.weights import PANEL, Packed, filled

__all__ = ["Kernels"]

_FREQUENCIES: Final = 36
"""Of a 3x3 kernel."""


class Kernels:
    """Threads that share the work of every kernel; one slice at a time.

    Args:
        threads: how many.

    Raises:
        BackendError: the system starts no more of them.
    """

    def __init__(self, threads: int) -> None:
        self._library = load_library()
        self._pool = self._library.ctp_pool_new(threads)
        if self._pool is None:
            raise BackendError(
                f"The system starts no {threads} threads for the networks: end other programs, or use another backend."
            )
        # with its owner at the latest: a network that is refused at load is never closed
        self._end = weakref.finalize(self, self._library.ctp_pool_free, self._pool)
        self._buffers = BufferPool()

    def close(self) -> None:
        """End the threads; no kernel is called any more."""
        self._end()

    def image(self, array: NDArray[Any]) -> PendingTensor:
        """A tensor of an array ``(1, C, H, W)``."""
        _, channels, height, width = array.shape
        made = self._new(height, width, channels)
        made.pixels.array[..., :channels] = array[0].transpose(1, 2, 0)
        made.pixels.array[..., channels:] = 0
        return made

    def array(self, image: PendingTensor) -> NDArray[np.float32]:
        """The values of a tensor, ``(1, C, H, W)``."""
        values = self.materialised([image]).pixels.array[..., : image.channels]
        return np.ascontiguousarray(values.transpose(2, 0, 1))[None]

    def materialised(self, images: Sequence[PendingTensor]) -> PendingTensor:
        """The sum of tensors, with nothing pending."""
        if len(images) == 1 and images[0].scale is None and not images[0].relu:
            return images[0]
        (height, width), total = images[0].size, self._new(*images[0].size, images[0].channels)
        self._call("add", images, len(images), height, width, address(total.pixels.array))
        return total

    def pack(
        self, weight: NDArray[Any], bias: NDArray[Any] | None, parts: Sequence[PendingTensor], *, winograd: bool
    ) -> Packed:
        """Constants of a convolution.

        Args:
            weight: ``(out, in, rows, columns)``.
            bias: ``(out,)``.
            parts: tensors with the channels of those that it will read one after the other.
            winograd: 3x3, with stride 1 and padding 1.
        """
        weight = np.ascontiguousarray(weight, np.float32)
        outputs, inputs, rows, columns = weight.shape
        begins = np.cumsum([0, *(image.pixels.array.shape[2] for image in parts)])
        channels = [begin + np.arange(image.channels) for begin, image in zip(begins, parts, strict=False)]
        places, panels, depth = np.concatenate(channels).astype(ctypes.c_ssize_t), -(-outputs // PANEL), int(begins[-1])
        packed = np.zeros((panels, _FREQUENCIES if winograd else rows * columns, depth, PANEL), np.float32)
        given = address(weight), outputs, inputs, rows * columns, address(places), depth, winograd
        self._run("pack", *given, address(packed))
        values = np.zeros(panels * PANEL, np.float32)
        if bias is not None:
            values[:outputs] = bias
        return Packed(weights=packed, bias=values, outputs=outputs, kernel=(rows, columns), winograd=winograd)

    def convolve_3x3(self, parts: Sequence[PendingTensor], packed: Packed) -> PendingTensor:
        """A convolution of the tensors' channels one after the other, with stride 1 and padding 1."""
        (height, width), made = parts[0].size, self._new(*parts[0].size, packed.outputs)
        constants = address(packed.weights), address(packed.bias)
        out = made.pixels.array
        self._call("convolve_3x3", parts, len(parts), height, width, *constants, address(out), out.shape[2])
        return made

    def convolve(self, parts: Sequence[PendingTensor], packed: Packed, stride: int, padding: int) -> PendingTensor:
        """Any other convolution."""
        window, (height, width) = _window(parts[0], packed.kernel, stride, padding)
        made = self._new(height, width, packed.outputs)
        self._convolve(parts, window, packed, made, sets=1)
        return made

    def conv_transpose2x2(self, parts: Sequence[PendingTensor], packed: Packed) -> PendingTensor:
        """A transposed convolution of 2x2 with stride 2: four of 1x1, each for every other row and column."""
        window, (height, width) = _window(parts[0], (1, 1), 1, 0)
        made = self._new(2 * height, 2 * width, packed.outputs)
        self._convolve(parts, window, packed, made, sets=4)
        return made

    def max_pool(self, image: PendingTensor, kernel: tuple[int, int], stride: int, padding: int) -> PendingTensor:
        """The largest value of each window."""
        window, (height, width) = _window(image, kernel, stride, padding)
        made = self._new(height, width, image.channels)
        self._call("max_pool", [image], ctypes.byref(window), address(made.pixels.array), height, width)
        return made

    def upsample2x(self, image: PendingTensor) -> PendingTensor:
        """Twice as many rows and columns, each pixel four times."""
        height, width = image.size
        made = self._new(2 * height, 2 * width, image.channels)
        self._call("upsample2x", [image.raw()], height, width, address(made.pixels.array))
        return replace(image, pixels=made.pixels)

    def moments(self, image: PendingTensor) -> tuple[ChannelVector, ChannelVector]:
        """Mean and variance of each channel, float64 ``(C,)``."""
        if image.relu:
            return self._measured(image)
        mean, variance = image.pixels.moments = image.pixels.moments or self._measured(image.raw())
        if image.scale is None or image.shift is None:
            return mean, variance
        return image.scale * mean + image.shift, image.scale**2 * variance

    def _measured(self, image: PendingTensor) -> tuple[ChannelVector, ChannelVector]:
        found = np.empty((2, image.pixels.array.shape[2]))
        self._call("moments", [image], *image.size, address(found))
        return found[0, : image.channels], found[1, : image.channels]

    def _convolve(
        self, parts: Sequence[PendingTensor], window: WindowOfKernel, packed: Packed, made: PendingTensor, *, sets: int
    ) -> None:
        height, width, channels = made.pixels.array.shape
        step = 1 if sets == 1 else 2
        size = height // step, width // step, channels, step * width * channels, step * channels
        constants = address(packed.weights), address(packed.bias), sets
        out = address(made.pixels.array)
        self._call("convolve", parts, len(parts), ctypes.byref(window), *constants, out, *size)

    def _new(self, height: int, width: int, channels: int) -> PendingTensor:
        return PendingTensor(pixels=PooledBuffer(self._buffers, (height, width, filled(channels))), channels=channels)

    def _call(self, name: str, images: Sequence[PendingTensor], *arguments: Any) -> None:  # noqa: ANN401  as ctypes
        kept = [[_filled(column, image) for column in (image.scale, image.shift)] for image in images]
        sources = (SourceOfKernel * len(images))()
        for source, image, (scale, shift) in zip(sources, images, kept, strict=True):
            pixels = image.pixels.array
            source.data, source.channels, source.relu = address(pixels), pixels.shape[2], image.relu
            source.scale, source.shift = address(scale), address(shift)
        self._run(name, sources, *arguments)

    def _run(self, name: str, *arguments: Any) -> None:  # noqa: ANN401  as ctypes
        if not getattr(self._library, f"ctp_{name}")(self._pool, *arguments):
            raise BackendError("There is not enough memory for the networks: free some, or use another backend.")


def _filled(column: ChannelVector | None, image: PendingTensor) -> NDArray[np.float32] | None:
    """A value for each channel in memory."""
    if column is None:
        return None
    values = np.zeros(image.pixels.array.shape[2], np.float32)
    values[: column.size] = column
    return values


def _window(
    image: PendingTensor, kernel: tuple[int, int], stride: int, padding: int
) -> tuple[WindowOfKernel, tuple[int, int]]:
    """The windows in a tensor, and the rows and columns of the output."""
    height, width = image.size
    rows, columns = kernel
    size = (height + 2 * padding - rows) // stride + 1, (width + 2 * padding - columns) // stride + 1
    return WindowOfKernel(height, width, rows, columns, stride, padding), size
