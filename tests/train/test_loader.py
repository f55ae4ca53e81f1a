import itertools
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.nifti_cases import only_case

from ctpdeploy.errors import UsageError
from ctpdeploy.train import TrainConfig, loader
from ctpdeploy.train.augmentation import augment, draw_poses
from ctpdeploy.train.dataset import Batch, SliceDataset, read_labelled
from ctpdeploy.train.loader import AHEAD, Loader
from ctpdeploy.train.settings import AugmentConfig

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
PLACES = ["cpu", pytest.param("cuda", marks=needs_gpu), pytest.param("cuda, streamed", marks=needs_gpu)]
AUGMENT = AugmentConfig(flip=True, rotation=15.0, scaling=0.1)


@pytest.fixture(scope="module")
def dataset(data: Path, config: TrainConfig) -> SliceDataset:
    """Eight slices."""
    return SliceDataset([read_labelled(only_case(data / f"case_{number}"), config) for number in (1, 2, 3, 4)])


@pytest.fixture(params=PLACES)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> torch.device:
    if "streamed" in request.param:
        monkeypatch.setattr(loader, "SHARE_OF_MEMORY", 0.0)
    return torch.device(request.param.split(",")[0])


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ctpdeploy-loader")]


def assert_equal(one: Batch, other: Batch) -> None:
    for a, b in zip(one, other, strict=True):
        assert (a is None and b is None) or torch.equal(a.cpu(), b.cpu())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8, 9])
def test_mini_batches_are_those_of_the_plain_loop(
    dataset: SliceDataset, config: TrainConfig, device: torch.device, batch_size: int
) -> None:
    batches = Loader(dataset, replace(config, batch_size=batch_size), device)
    for epoch in (1, 2):
        plain = list(dataset.batches(batch_size, seed=config.seed, epoch=epoch))
        loaded = list(batches.epoch(epoch))
        assert len(loaded) == len(plain) == batches.steps
        for one, other in zip(loaded, plain, strict=True):
            assert_equal(one, other)
            assert one.frames.device.type == device.type


def test_mini_batches_are_augmented_by_epoch_and_step(
    dataset: SliceDataset, config: TrainConfig, device: torch.device
) -> None:
    config = replace(config, augment=AUGMENT, seed=3)
    for epoch in (1, 2):
        plain = dataset.batches(config.batch_size, seed=3, epoch=epoch)
        for step, (one, other) in enumerate(zip(Loader(dataset, config, device).epoch(epoch), plain, strict=True)):
            poses = draw_poses(AUGMENT, config.batch_size, seed=3, epoch=epoch, step=step)
            assert_equal(one, augment(other.map(lambda t: t.to(device)), poses, config.loss))


def test_augmented_systems_have_augmented_mini_batches(dataset: SliceDataset, config: TrainConfig) -> None:
    config = replace(config, system="chen_unet")
    for step, batch in enumerate(Loader(dataset, config, CPU).epoch(1)):
        poses = draw_poses(config.augmentation, config.batch_size, seed=config.seed, epoch=1, step=step)
        (plain,) = itertools.islice(dataset.batches(config.batch_size, seed=config.seed, epoch=1), step, step + 1)
        assert_equal(batch, augment(plain, poses, config.loss))
        assert not torch.equal(batch.frames, plain.frames)


@pytest.mark.parametrize("world", [2, 4])
def test_processes_divide_each_mini_batch(dataset: SliceDataset, config: TrainConfig, world: int) -> None:
    config = replace(config, batch_size=4, augment=AUGMENT)
    shares = [Loader(dataset, config, CPU, rank=rank, world=world).epoch(1) for rank in range(world)]
    for whole, *parts in zip(Loader(dataset, config, CPU).epoch(1), *shares, strict=True):
        assert all(len(part.lesion) == 4 // world for part in parts)
        assert_equal(Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True))), whole)


@pytest.mark.parametrize(("batch_size", "world"), [(3, 2), (20, 3)])
def test_uneven_shares_are_refused(dataset: SliceDataset, config: TrainConfig, batch_size: int, world: int) -> None:
    with pytest.raises(UsageError, match=f"{world} processes cannot divide .* multiple of {world} "):
        Loader(dataset, replace(config, batch_size=batch_size), CPU, rank=0, world=world)


def test_mini_batches_are_ready_before_they_are_asked_for(
    dataset: SliceDataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def note(config: AugmentConfig, slices: int, *, seed: int, epoch: int, step: int) -> object:
        made.append(step)
        return draw_poses(config, slices, seed=seed, epoch=epoch, step=step)

    monkeypatch.setattr(loader, "draw_poses", note)
    for step, _ in enumerate(Loader(dataset, replace(config, batch_size=1), CPU).epoch(1)):
        expected = min(step + 1 + AHEAD, 8)
        deadline = time.monotonic() + 10
        while len(made) < expected and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert made == list(range(expected))  # and no more: the queue is bounded


def test_waiting_is_counted_and_work_is_not(
    dataset: SliceDataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()  # a second passes whenever somebody looks
    monkeypatch.setattr(loader, "time", SimpleNamespace(perf_counter=clock.__next__))
    batches = Loader(dataset, config, CPU)
    for epoch in (1, 2):
        for step, _ in enumerate(batches.epoch(epoch), start=1):
            assert batches.waited_s == step
            for _ in range(10):
                next(clock)
    assert batches.waited_s == batches.steps == 4


class OddError(Exception):
    """What goes wrong in the thread."""


def test_error_in_the_thread_reaches_the_caller_with_its_traceback(
    dataset: SliceDataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_third(config: AugmentConfig, slices: int, *, seed: int, epoch: int, step: int) -> object:
        if step == 2:
            raise OddError
        return draw_poses(config, slices, seed=seed, epoch=epoch, step=step)

    monkeypatch.setattr(loader, "draw_poses", fail_third)
    received = []
    with pytest.raises(OddError) as caught:
        received.extend(Loader(dataset, replace(config, batch_size=1), CPU).epoch(1))
    assert "fail_third" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not threads()


@pytest.mark.parametrize("reason", [None, ValueError, KeyboardInterrupt])
def test_stopping_early_ends_the_thread(
    dataset: SliceDataset, config: TrainConfig, reason: type[BaseException] | None
) -> None:
    def stop() -> None:
        for _ in Loader(dataset, replace(config, batch_size=1), CPU).epoch(1):
            assert threads()
            if reason is None:
                break
            raise reason
        assert not threads()

    if reason is None:
        stop()
    else:
        with pytest.raises(reason):
            stop()
    assert not threads()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of POSIX")
def test_interrupt_while_waiting_ends_the_thread(
    dataset: SliceDataset, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = threading.Event()
    shutdown = loader.ThreadPoolExecutor.shutdown

    def interrupt(config: AugmentConfig, slices: int, *, seed: int, epoch: int, step: int) -> object:
        if step == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            left.wait(10)  # so that the caller is still waiting when the interrupt reaches it
        return draw_poses(config, slices, seed=seed, epoch=epoch, step=step)

    def leave(*arguments: object, **options: object) -> None:
        left.set()
        shutdown(*arguments, **options)

    monkeypatch.setattr(loader, "draw_poses", interrupt)
    monkeypatch.setattr(loader.ThreadPoolExecutor, "shutdown", leave)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start what is in the background without
    try:
        with pytest.raises(KeyboardInterrupt):
            list(Loader(dataset, replace(config, batch_size=1), CPU).epoch(1))
    finally:
        signal.signal(signal.SIGINT, before)
    assert left.is_set()
    assert not threads()


def test_iterator_that_is_never_begun_starts_no_thread(dataset: SliceDataset, config: TrainConfig) -> None:
    batches = Loader(dataset, config, CPU).epoch(1)
    assert not threads()
    del batches


def test_slices_are_not_copied_on_the_cpu(dataset: SliceDataset, config: TrainConfig) -> None:
    batches = Loader(dataset, config, CPU)
    assert batches._slices.frames is dataset.slices.frames


@pytest.mark.parametrize(("free", "fits"), [(4.0, True), (3.99, False)])
def test_a_gpu_keeps_a_quarter_of_its_free_memory_at_most(
    dataset: SliceDataset, monkeypatch: pytest.MonkeyPatch, free: float, fits: bool
) -> None:
    size = sum(tensor.nbytes for tensor in dataset.slices)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free * size, 100 * size))
    assert loader._fits(dataset.slices, torch.device("cuda")) is fits
