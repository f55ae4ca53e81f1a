"""A data set of patients on disk, written by several processes.

The caller's process computes nothing then, and so imports nothing of what makes a patient: the processes that do are
busy with that half a second later.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ctpdeploy.atomic import require_writable
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.phantom.settings import PhantomConfig

__all__ = ["write_dataset"]

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Matrix products on one thread: there is a process for every core already. NumPy's library reads the number when it is
loaded. With a thread a core in each process they wait for each other, and all takes three times as long."""

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": f"{2**40}", "MALLOC_TOP_PAD_": f"{2**26}"}
"""Memory that was freed is kept by glibc for the next array: a system hands out pages, zeroed, that a patient's arrays
ask for again and again, at a tenth of all time."""


def write_dataset(
    out: Path,
    *,
    cases: int,
    seed: int = 0,
    config: PhantomConfig | None = None,
    first: int = 1,
    layout: str | None = None,
    workers: int = 1,
    on_case: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write synthetic cases ``out/case_<first>`` and on.

    A case depends on its number, the seed and the configuration alone, never on the other cases nor on ``workers``.
    A case folder appears whole or not at all.

    Args:
        out: folder of the data set, made if missing.
        cases: how many.
        seed: of the whole data set.
        config: defaults to ``PhantomConfig()``.
        first: number of the first case.
        layout: of DICOM studies, a name in :data:`ctpdeploy.phantom.dicom.LAYOUTS`: each is written to
            ``case_<number>/study``, its truth beside it. None for the files of ISLES 2018.
        workers: processes; with more than one, the caller's main module must be importable (``if __name__ ==
            "__main__"``).
        on_case: called with each case folder, in order, when it is written.

    Returns:
        The case folders, in order.

    Raises:
        InputError: one of the case folders exists already, and nothing is written then; or a patient cannot be written
            in that layout.
        UsageError: the folder cannot be written; or patients of that configuration may have too few slices for the
            layout.
        UnknownKeyError: there is no such layout.
        MissingPackageError: a study needs pydicom or GDCM, which is not installed.
    """
    if layout is not None:
        from ctpdeploy.phantom.dicom.layouts import require_layout

        _require_slices((config or PhantomConfig()).slices, layout, 2 * require_layout(layout).slabs)
    folders = [out / f"case_{number}" for number in range(first, first + cases)]
    for folder in folders:
        if folder.exists():
            raise InputError(f"The case folder {folder} exists already: choose another folder or remove it.")
    require_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    job = partial(_write_case, out, seed, config or PhantomConfig(), layout)
    for folder in _run(job, range(first, first + cases), workers):
        if on_case is not None:
            on_case(folder)
    return folders


def _require_slices(slices: int | None, layout: str, least: int) -> None:
    """Refuse numbers of slices that a layout cannot be written with; where they are drawn they may be as few as 2.

    Raises:
        UsageError: they are such.
    """
    if (slices or 2) < least:
        raise UsageError(
            f"The layout '{layout}' needs {least} slices or more of each patient: give --set slices={least}."
        )


def _run(job: Callable[[int], Path], numbers: range, workers: int) -> Iterator[Path]:
    """Results of the job in order, here or in processes."""
    if workers <= 1:
        yield from map(job, numbers)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        with _environment(**ONE_THREAD, **KEEP_MEMORY):  # the processes start here
            folders = pool.map(job, numbers)
        yield from folders


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Processes that start meanwhile have these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _write_case(out: Path, seed: int, config: PhantomConfig, layout: str | None, number: int) -> Path:
    """Make and write one case, by the process that this runs in."""
    if layout is not None:
        from ctpdeploy.phantom.dicom.study_case import write_study_case

        return write_study_case(out, seed, config, layout, number)
    from ctpdeploy.phantom.case_folder import write_case

    return write_case(out, seed, config, number)
