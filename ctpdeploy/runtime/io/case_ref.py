"""CaseRef: a case that was found and not yet read."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.data.case import Case, MapsWanted
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.io.found_files import FoundFiles

__all__ = ["CaseRef", "by_name", "no_case"]


@dataclass(frozen=True, kw_only=True)
class CaseRef:
    """A case on disk: found once, passed on, read when its turn comes.

    Attributes:
        name: of the case, as its folder is called; results are written under it.
        layout: name of the layout that found it.
        folder: where it lies; also the folder that holds nothing but its files, for a layout that has one.
        files: its files by what they hold: ``ctp``, ``cbf``, ``cbv``, ``mtt``, ``tmax``, ``dwi``, ``lesion``; what is
            missing is left out.
        reader: of the case, called with this reference.
        frame_interval: for the reader, seconds between frames whatever the files state; None for what they state.
        maps: for the reader, whether maps that come with the case are looked for.
        perfusion: for the reader, how to compute maps where the case has none; None for ``PerfusionConfig()``.
        fault: why the files found make no case, one sentence; empty where they do.
        has_scan: whether, of files at fault, some are CT perfusion; where none are, nothing was to be expected.
        found: state of its files, for a layout that reads some to know the case; None for one that reads names alone.
        arrival: how it was known that all of it had come, where a node received it; empty elsewhere.
        findings: on how it came, for the reader of the result.
    """

    name: str
    layout: str
    folder: Path
    files: Mapping[str, Path]
    reader: Callable[["CaseRef"], Case] = field(repr=False)
    frame_interval: float | None = None
    maps: MapsWanted = "given"
    perfusion: PerfusionConfig | None = None
    fault: str = ""
    has_scan: bool = True
    found: FoundFiles | None = None
    arrival: str = ""
    findings: tuple[Finding, ...] = ()

    def read(self, perfusion: PerfusionConfig | None = None) -> Case:
        """The case itself.

        Args:
            perfusion: how its maps are computed if it has none, as networks have it in ``Pipeline.perfusion``.

        Raises:
            InputError: its files make no case, one of them cannot be read, or has changed since the case was found.
        """
        self.require_sound()
        case = self.reader(self if perfusion is None else replace(self, perfusion=perfusion))
        if self.found:
            self.found.require_same()
        return replace(case, arrival=self.arrival, findings=(*self.findings, *case.findings))

    def require_sound(self) -> None:
        """Refuse files that make no case, judged by their names and kinds: whoever opens a pipe waits for its writer.

        Raises:
            InputError: they make none.
        """
        if self.fault:
            raise InputError(self.fault)
        for path in self.files.values():
            if path.exists() and not path.is_file() and not path.is_dir():
                raise InputError(f"{path} is a pipe or a device, not a file: copy what it gives to a file.")


def no_case(case: CaseRef) -> Case:
    """The reader of files that make no case.

    Raises:
        InputError: always.
    """
    raise InputError(case.fault)


def by_name(cases: Iterable[CaseRef]) -> dict[str, CaseRef]:
    """Cases by their names, in the order given.

    Raises:
        UsageError: two have the same name.
    """
    named: dict[str, CaseRef] = {}
    for case in cases:
        other = named.setdefault(case.name, case)
        if other is not case:
            raise UsageError(
                f"Two cases are called {case.name}, {other.folder} and {case.folder}: rename one, or take them apart, "
                "each with a folder of its own for the results."
            )
    return named
