"""Many cases in one call: who reads them, which are done already, and what became of each."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctpdeploy.cli.terminal import progress, say
from ctpdeploy.errors import CtpdeployError, UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime import Case
    from ctpdeploy.runtime.report.submission import Submission

__all__ = ["CaseReader", "case_readers", "infer_cases"]


@dataclass(frozen=True, kw_only=True)
class CaseReader:
    """How to read a case, and how to list its files by what they hold; both may refuse it."""

    read: "Callable[[], Case]"
    files: Callable[[], Mapping[str, Path]]


def case_readers(inputs: list[Path]) -> dict[str, CaseReader]:
    """How to read each case under some folders, by its name.

    Raises:
        InputError: a folder holds no case.
        UsageError: two cases have the same name.
    """
    from ctpdeploy.runtime import case_name, find_cases, read_case
    from ctpdeploy.runtime.io.cases import case_files

    readers: dict[str, CaseReader] = {}
    for folder in [case for path in inputs for case in find_cases(path)]:
        name = case_name(folder)
        if name in readers:
            raise UsageError(f"Two cases are called {name}: infer them into different --out folders.")
        readers[name] = CaseReader(read=partial(read_case, folder), files=partial(case_files, folder))
    return readers


def infer_cases(
    bundle: Path,
    readers: dict[str, CaseReader],
    out: Path,
    *,
    backend: str = "auto",
    resume: bool = False,
    submission: "Submission | None" = None,
    key: Path | None = None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """All cases, several at work at a time, with a progress bar; a submission may refuse some of them.

    Returns:
        The reports, and why each refused case was refused, both in the order of the cases; the only case of a call is
        not refused but raises.
    """
    from ctpdeploy.runtime import Bundle, Pipeline
    from ctpdeploy.runtime.backends.registry import choose, open_engine
    from ctpdeploy.runtime.cohort.run import infer_all
    from ctpdeploy.runtime.report.writers import REPORT

    with Bundle.open(bundle, key) as opened:
        choice = choose(opened, backend)
        pipeline = Pipeline(open_engine(opened, choice.backend), opened.preprocess)
        source = {
            "bundle": {"name": bundle.resolve().name, "sha256": opened.sha256},
            "backend_requested": backend,
            "backend_because": choice.because,
        }
    reports: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    with pipeline, progress() as display:
        task = display.add_task("infer", total=len(readers), text="")

        @contextmanager
        def settling(name: str) -> Iterator[None]:
            try:
                yield
            except CtpdeployError as error:
                if len(readers) == 1:
                    raise
                say(f"Error: {name}: {error}")
                refused[name] = str(error)
            if name in reports or name in refused:
                display.update(task, advance=1, text=name)

        for name, reader in readers.items():
            with settling(name):
                if submission:
                    submission.admit(name, reader.files().get("mtt"))
                if resume and (done := _finished(out / name, source)):
                    reports[name] = done
        left = {name: reader for name, reader in readers.items() if name not in reports and name not in refused}
        with infer_all((reader.read for reader in left.values()), pipeline, out, source) as outcomes:
            for name, outcome in zip(left, outcomes, strict=True):
                with settling(name):
                    reports[name] = _load(outcome.result() / REPORT)
    return [reports[name] for name in readers if name in reports], {
        name: refused[name] for name in readers if name in refused
    }


def _finished(folder: Path, source: dict[str, Any]) -> dict[str, Any] | None:
    """The report of an earlier run of the same bundle, or None."""
    from ctpdeploy.runtime.report.writers import REPORT

    if not (folder / REPORT).is_file():
        return None
    report = _load(folder / REPORT)
    return report if report.get("bundle") == source["bundle"] else None


def _load(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report
