"""The cases shown, each read once, and each predicted once by each system whatever number of figures it is in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ctpdeploy.runtime.data.case import BoolArray, Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.train.device import default_device
from ctpdeploy.train.reproduction.figures.figure_scores import EvaluatedRun
from ctpdeploy.train.run_folder import open_run

__all__ = ["ShownCase", "show_cases"]


@dataclass(frozen=True, kw_only=True)
class ShownCase:
    """A case and what was found in it.

    Attributes:
        case: with a lesion.
        lesion: that one.
        predictions: by system.
        seen_by: systems whose run was trained on the case or chose its best epoch by it: they flatter. Runs tell it by
            the scan itself, those made before they did by its name.
    """

    case: Case
    lesion: BoolArray
    predictions: Mapping[str, Prediction]
    seen_by: frozenset[str] = frozenset()

    @property
    def volume_ml(self) -> float:
        """Volume of the lesion."""
        return float(self.lesion.sum() * self.case.geometry.voxel_ml)

    @property
    def slice(self) -> int:
        """The one with most lesion; without a lesion the middle one."""
        areas = self.lesion.sum(axis=(1, 2))
        return int(areas.argmax()) if areas.any() else len(areas) // 2


def show_cases(
    refs: Sequence[CaseRef],
    runs: Mapping[str, EvaluatedRun],
    *,
    device: str | None = None,
    on_prediction: Callable[[int, int], None] | None = None,
) -> list[ShownCase]:
    """Read cases and have each predicted by each run.

    Args:
        refs: of cases that have a lesion mask.
        runs: by system.
        device: where to compute, in PyTorch's words; CUDA where there is one, else the CPU.
        on_prediction: called with the number of predictions done and of all.

    Raises:
        InputError: a case or a checkpoint cannot be read.
        GuardError: a network returned NaN or infinity.
    """
    perfusion = next((run.perfusion for run in runs.values()), None)
    cases = [ref.read(perfusion) for ref in refs]
    device = device or default_device()
    predictions: list[dict[str, Prediction]] = [{} for _ in cases]
    for i, (system, run) in enumerate(runs.items()):
        pipeline = open_run(run.folder, device=device)
        for j, case in enumerate(cases):
            predictions[j][system] = pipeline.predict(case)
            if on_prediction is not None:
                on_prediction(i * len(cases) + j + 1, len(runs) * len(cases))
    return [
        ShownCase(
            case=case,
            lesion=case.lesion,
            predictions=found,
            seen_by=frozenset(
                system for system, run in runs.items() if found[system].knows_case or case.identifier in run.seen
            ),
        )
        for case, found in zip(cases, predictions, strict=True)
        if case.lesion is not None
    ]
