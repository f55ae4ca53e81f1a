"""Training data: a plain loop, which reads and preprocesses every case in every epoch, against cache and loader.

Each variant is a run of a few epochs from the same weights over the same mini-batches, which are first checked to be
equal. Variants take turns in random order; quoted are medians over rounds, and of the ratio within a round, which
other load on the machine disturbs least. Waiting is all that is not a training step: in the plain loop all reading, in
the product reading once and then what the loader keeps the steps waiting for. The ceiling of a run is the steps alone,
which no way to bring data makes faster; the ceiling on any faster device is the supply, an epoch without steps. The
files are in the memory of the operating system; a slow disk slows the plain loop in every epoch, the product once. The
last line of the output is JSON.

Where other work uses the processor too, OpenMP's threads lose much time by spinning, less so in a process with one
thread more, as the loader's: let them sleep, or that is part of what is measured.

    OMP_WAIT_POLICY=passive python claims/training_data.py --width 4 --cases 2 --epochs 2 --rounds 5
"""

import argparse
import gzip
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import CaseRef, find_cases
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.dataset import Batch, SliceDataset, read_labelled
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.loader import Loader
from ctpdeploy.train.pace import Pace
from ctpdeploy.train.settings import AugmentConfig, OptimiserConfig, TrainConfig

PLAIN, AUGMENTED = "plain loop", "the same, augmented"
PHANTOM = PhantomConfig(size=256, slices=8, frames=45)
PACE = Pace(learning_rate=OptimiserConfig().learning_rate)


@dataclass
class Run:
    """Measurements of a run.

    Attributes:
        seconds: of the whole run.
        reading: of them, until the first epoch could begin; in the plain loop all reading.
        waiting: of them, in epochs, for mini-batches.
        losses: of each step.
        supply: samples a second in another epoch, in which nothing is done with them.
    """

    seconds: float = 0.0
    reading: float = 0.0
    waiting: float = 0.0
    losses: list[float] = field(default_factory=list)
    supply: float = 0.0


@dataclass
class Setting:
    """The setting of all variants."""

    cases: list[CaseRef]
    config: TrainConfig
    device: torch.device
    epochs: range

    def read(self, cache: CaseCache | None = None) -> SliceDataset:
        """All cases, from disk or from a cache."""
        return SliceDataset([read_labelled(case, self.config, cache) for case in self.cases])


def plain_epoch(setting: Setting, epoch: int) -> Iterator[Batch]:
    """An epoch of the plain loop."""
    batches = setting.read().batches(setting.config.batch_size, seed=setting.config.seed, epoch=epoch)
    return (batch.map(lambda tensor: tensor.to(setting.device)) for batch in batches)


def plain(setting: Setting) -> Run:
    """Read and preprocess in every epoch."""
    learner, start, run = begin(setting), time.perf_counter(), Run()
    for epoch in setting.epochs:
        began = time.perf_counter()
        batches = plain_epoch(setting, epoch)
        run.reading += time.perf_counter() - began
        train(learner, timed(batches, run), run)
    return finish(setting, run, start, plain_epoch)


def product(setting: Setting, cache: Path) -> Run:
    """Read once, through a cache; then the loader."""
    learner, start, run = begin(setting), time.perf_counter(), Run()
    loader = Loader(setting.read(CaseCache(cache)), setting.config, setting.device)
    run.reading = time.perf_counter() - start
    for epoch in setting.epochs:
        train(learner, loader.epoch(epoch), run)
        run.waiting += loader.waited_s
    return finish(setting, run, start, lambda _, epoch: loader.epoch(epoch))


def product_cold(setting: Setting) -> Run:
    """The first run on these cases: the cache is empty and has to be written."""
    with tempfile.TemporaryDirectory() as folder:
        return product(setting, Path(folder))


def begin(setting: Setting) -> Learner:
    """The same weights for every run."""
    learner = Learner(setting.config, setting.device)
    learner.begin_epoch()
    return learner


def timed(batches: Iterator[Batch], run: Run) -> Iterator[Batch]:
    """The same mini-batches, with the time that they take added to the run's waiting."""
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        run.waiting += time.perf_counter() - start
        if batch is None:
            return
        yield batch


def train(learner: Learner, batches: Iterable[Batch], run: Run) -> None:
    """The steps of an epoch."""
    run.losses += [learner.step(batch, PACE)["total"] for batch in batches]


def finish(setting: Setting, run: Run, start: float, bring: Callable[[Setting, int], Iterator[Batch]]) -> Run:
    """Note the time when the device has done all it was given; then measure the supply."""
    synchronise(setting)
    run.seconds, start = time.perf_counter() - start, time.perf_counter()
    slices = sum(len(batch.lesion) for batch in bring(setting, setting.epochs.stop))
    synchronise(setting)
    run.supply = slices / (time.perf_counter() - start)
    return run


def synchronise(setting: Setting) -> None:
    """Wait for a GPU."""
    if setting.device.type == "cuda":
        torch.cuda.synchronize(setting.device)


def check(setting: Setting, cache: Path) -> None:
    """The mini-batches of both are equal, from an empty cache and from a full one; leaves the cache full."""
    for _ in range(2):
        loader = Loader(setting.read(CaseCache(cache)), setting.config, setting.device)
        for epoch in setting.epochs:
            for one, other in zip(loader.epoch(epoch), plain_epoch(setting, epoch), strict=True):
                if not all(torch.equal(a, b) for a, b in zip(one, other, strict=True)):  # type: ignore[arg-type]
                    raise SystemExit(f"Mini-batches of epoch {epoch} differ: nothing is timed.")


def compress(data: Path) -> None:
    """Make ``.nii.gz`` of each file."""
    for file in data.rglob("*.nii"):
        with gzip.open(file.with_name(f"{file.name}.gz"), "wb", compresslevel=6) as stream:
            stream.write(file.read_bytes())
        file.unlink()


def rate(work: Callable[[], object], amount: float, seconds: float = 0.5) -> float:
    """Amount of work that the machine does in a second, at this moment."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        work()
        count += 1
    return amount * count / (time.perf_counter() - start)


def ceilings() -> dict[str, float]:
    """Of products, of copies and of digests: processor, memory, and what a content-keyed cache costs at least."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    source = torch.rand(16 * 2**20)
    target, content = torch.empty_like(source), source.numpy().data
    return {
        "sgemm_gflops": rate(lambda: a @ b, 2e-9 * 1024**3),
        "copy_gb_per_s": rate(lambda: target.copy_(source), 1e-9 * source.nbytes),
        "sha256_gb_per_s": rate(lambda: hashlib.sha256(content), 1e-9 * source.nbytes),
    }


def figures(runs: list[Run], reference: list[Run], slices: int, epochs: int) -> dict[str, float]:
    """Medians of a variant."""

    def median(quantity: Callable[[Run], float]) -> float:
        return round(float(np.median([quantity(run) for run in runs])), 4)

    ratios = [other.seconds / run.seconds for run, other in zip(runs, reference, strict=True)]
    return {
        "samples_per_s": median(lambda run: slices / run.seconds),
        "times_plain": round(float(np.median(ratios)), 3),
        "seconds": median(lambda run: run.seconds),
        "waiting_share": median(lambda run: (run.reading + run.waiting) / run.seconds),
        "reading_s": median(lambda run: run.reading),
        "epoch_s": median(lambda run: (run.seconds - run.reading) / epochs),
        "waiting_share_of_epochs": median(lambda run: run.waiting / (run.seconds - run.reading)),
        "samples_per_s_of_steps_alone": median(lambda run: slices / (run.seconds - run.reading - run.waiting)),
        "samples_per_s_of_supply": median(lambda run: run.supply),
    }


def measure(variants: Mapping[str, Callable[[], Run]], rounds: int) -> tuple[dict[str, list[Run]], dict[str, float]]:
    """All runs of each variant, and the state of the machine meanwhile."""
    order, states = np.random.default_rng(0), []
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for _ in range(rounds):
        states.append({**ceilings(), "load_average": os.getloadavg()[0]})
        for name in order.permutation(list(variants)):
            runs[name].append(variants[name]())
    return runs, {name: round(float(np.median([state[name] for state in states])), 2) for name in states[0]}


def check_losses(runs: dict[str, list[Run]]) -> None:
    """The same mini-batches give the same losses, but for what augmentation has changed."""
    reference = runs[PLAIN][0].losses
    for name, done in runs.items():
        if name != AUGMENTED and not all(np.allclose(run.losses, reference, rtol=1e-3) for run in done):
            raise SystemExit(f"The losses of '{name}' are not those of '{PLAIN}': nothing is quoted.")


def show(result: dict[str, Any]) -> None:
    """A table, and the line of JSON."""
    print(", ".join(f"{name} {value}" for name, value in result["ceilings"].items()))
    columns = ("samples/s", "x plain", "waiting", "in epochs", "steps alone", "supply")
    print(f"{'variant':<30}", *(f"{column:>11}" for column in columns))
    for name, of in result["variants"].items():
        print(
            f"{name:<30} {of['samples_per_s']:>11.2f} {of['times_plain']:>11.2f} {of['waiting_share']:>11.1%} "
            f"{of['waiting_share_of_epochs']:>11.2%} {of['samples_per_s_of_steps_alone']:>11.2f} "
            f"{of['samples_per_s_of_supply']:>11.1f}"
        )
    print(json.dumps(result))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=4)
    parser.add_argument("--cases", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compressed", action="store_true", help="files are .nii.gz, as in ISLES 2024")
    options = parser.parse_args()
    config = replace(TrainConfig(), width=options.width)
    with tempfile.TemporaryDirectory() as folder:
        data, cache = Path(folder) / "data", Path(folder) / "cache"
        write_dataset(data, cases=options.cases, config=PHANTOM, workers=os.cpu_count() or 1)
        if options.compressed:
            compress(data)
        setting = Setting(find_cases(data), config, torch.device(options.device), range(1, options.epochs + 1))
        check(setting, cache)
        augmented = replace(setting, config=replace(config, augment=AugmentConfig(flip=True, rotation=15, scaling=0.1)))
        variants = {
            PLAIN: partial(plain, setting),
            "cache and loader, first run": partial(product_cold, setting),
            "cache and loader, later runs": partial(product, setting, cache),
            AUGMENTED: partial(product, augmented, cache),
        }
        runs, machine = measure(variants, options.rounds)
    check_losses(runs)
    slices = len(runs[PLAIN][0].losses) * config.batch_size
    show(
        {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "device": torch.cuda.get_device_name() if setting.device.type == "cuda" else "CPU",
            "versions": {"torch": torch.__version__, "numpy": np.__version__},
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
            "case": {name: getattr(PHANTOM, name) for name in ("size", "slices", "frames")},
            **{name: getattr(options, name) for name in ("width", "cases", "epochs", "rounds")},
            "compressed": options.compressed,
            "samples_a_run": slices,
            "ceilings": machine,
            "variants": {name: figures(done, runs[PLAIN], slices, options.epochs) for name, done in runs.items()},
        }
    )


if __name__ == "__main__":
    main()
