"""Mini-batches on the device of the networks, prepared ahead of their use.

A thread prepares them, a few steps ahead: it picks the slices, augments them and cuts patches where the system learns
from these, on a GPU in a stream of its own. A data set that leaves a GPU three quarters of its free memory is kept
there; only of a larger one does every mini-batch take the way through pinned memory. On the CPU nothing is copied but
the slices that are picked.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from ctpdeploy.errors import UsageError
from ctpdeploy.paper.systems import system_named
from ctpdeploy.train.augmentation import augment, draw_poses
from ctpdeploy.train.dataset import Batch, SliceDataset
from ctpdeploy.train.patches import draw_patches
from ctpdeploy.train.settings import TrainConfig

__all__ = ["Loader"]

AHEAD = 2
"""Mini-batches that are prepared while one is worked on."""

SHARE_OF_MEMORY = 0.25
"""Of what is free on a GPU when the loader is made: the largest data set that is kept there."""


class Loader:
    """The mini-batches of a data set, augmented, on a device.

    Args:
        dataset: all training slices.
        config: of the run.
        device: where the networks are.
        rank: which of the processes this is that divide each mini-batch among them.
        world: how many they are.

    Attributes:
        steps: mini-batches of an epoch.
        waited_s: seconds for which mini-batches were waited for in the epoch begun last, so far.

    Raises:
        UsageError: the slices of a mini-batch cannot be divided evenly.
    """

    def __init__(
        self, dataset: SliceDataset, config: TrainConfig, device: torch.device, *, rank: int = 0, world: int = 1
    ) -> None:
        self._size = min(config.batch_size, len(dataset))
        if self._size % world:
            raise UsageError(
                f"{world} processes cannot divide mini-batches of {self._size} slices evenly: make 'batch_size' a "
                f"multiple of {world} that is not above the {len(dataset)} training slices."
            )
        self._share = slice(rank * self._size // world, (rank + 1) * self._size // world)
        self.steps = dataset.steps(config.batch_size)
        self.waited_s = 0.0
        self._dataset, self._config, self._device = dataset, config, device
        self._patched = system_named(config.system).patches
        self._lesioned = dataset.slices.lesion.flatten(1).any(dim=1).nonzero()[:, 0]
        on_gpu = device.type == "cuda"
        self._in_place = not on_gpu or _fits(dataset.slices, device)
        self._slices = dataset.slices.map(lambda tensor: tensor.to(device)) if self._in_place else dataset.slices
        self._stream = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The mini-batches of an epoch in the order of :meth:`SliceDataset.batches`, this process's share of each.

        The thread ends with the iterator, however that ends; what it raises is raised here.
        """
        order = self._dataset.order(self._config.batch_size, seed=self._config.seed, epoch=epoch)
        prepare = partial(self._prepare, epoch, order)
        steps = iter(range(self.steps))
        self.waited_s = 0.0
        thread = ThreadPoolExecutor(1, thread_name_prefix="ctpdeploy-loader")
        try:
            pending = deque(thread.submit(prepare, step) for step in islice(steps, AHEAD))
            while pending:
                start = time.perf_counter()
                batch = pending.popleft().result()
                self.waited_s += time.perf_counter() - start
                pending.extend(thread.submit(prepare, step) for step in islice(steps, 1))
                self._take_over(batch)
                yield batch
        finally:
            thread.shutdown(cancel_futures=True)

    def _prepare(self, epoch: int, order: Tensor, step: int) -> Batch:
        """Make a mini-batch and wait until it is on the device; runs in the thread."""
        with torch.cuda.stream(self._stream):
            batch = self._make(epoch, order[step, self._share], step)
        if self._stream is not None:
            self._stream.synchronize()
        return batch

    def _make(self, epoch: int, chosen: Tensor, step: int) -> Batch:
        config = self._config
        patches = None
        if self._patched:
            patches = draw_patches(self._size, seed=config.seed, epoch=epoch, step=step).part(self._share)
            chosen = patches.choose(chosen, self._lesioned)
        index = chosen.to(self._slices.lesion.device)
        batch = self._slices.map(partial(torch.index_select, dim=0, index=index))
        if not self._in_place:
            batch = batch.map(lambda tensor: tensor.pin_memory().to(self._device, non_blocking=True))
        # Drawn for the whole mini-batch and done on the device in any case: neither the number of processes nor the
        # free memory changes what comes out.
        poses = draw_poses(config.augmentation, self._size, seed=config.seed, epoch=epoch, step=step)
        batch = augment(batch, poses.part(self._share), config.loss)
        return batch if patches is None else patches.cut(batch)

    def _take_over(self, batch: Batch) -> None:
        """Mark tensors made in the thread's stream as used in the caller's, for the allocator."""
        if self._stream is not None:
            for tensor in batch:
                if tensor is not None:
                    tensor.record_stream(torch.cuda.current_stream(self._device))


def _fits(slices: Batch, device: torch.device) -> bool:
    """Whether a GPU has room for all slices and for the networks beside them."""
    size = sum(tensor.nbytes for tensor in slices if tensor is not None)
    return size <= SHARE_OF_MEMORY * torch.cuda.mem_get_info(device)[0]
