"""The selection of the cases to show."""

from collections.abc import Iterable, Mapping, Sequence

from ctpdeploy.errors import InputError, UnknownKeyError
from ctpdeploy.runtime.cohort.case_score import GROUPS, CaseScore
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.cases import take_inventory

__all__ = ["choose_cases"]


def choose_cases(
    cases: Mapping[str, CaseRef],
    scores: Iterable[CaseScore],
    names: Sequence[str] = (),
    *,
    need_dwi: bool = False,
) -> tuple[str, ...]:
    """The cases named; otherwise the test case of median volume of each size of lesion, small, medium, large.

    Args:
        cases: all of the data, by name.
        scores: of test cases; a case may come more than once.
        names: of the cases to show; empty for the default.
        need_dwi: whether a system is shown that sees the real DWI.

    Raises:
        InputError: a case named lacks the lesion mask or the DWI, or no test case is among ``cases``.
        UnknownKeyError: a case named is not among them.
    """
    for name in names:
        if name not in cases:
            raise UnknownKeyError(name, cases, "the cases of the data")
    if names:
        _check_parts([cases[name] for name in names], need_dwi)
        return tuple(dict.fromkeys(names))
    without = take_inventory(list(cases.values())).without
    unfit = {*without["lesion"], *(without["dwi"] if need_dwi else ())}
    tested = {score.case: score for score in scores if score.true_volume_ml > 0}
    chosen = []
    for group in GROUPS:
        volumes = sorted(
            (score.true_volume_ml, name)
            for name, score in tested.items()
            if score.group == group and name in cases and name not in unfit
        )
        chosen += [name for _, name in volumes[(len(volumes) - 1) // 2 :][:1]]
    if not chosen:
        raise InputError("None of the cases that were tested is in the data: name the cases to show with --cases.")
    return tuple(chosen)


def _check_parts(cases: Sequence[CaseRef], need_dwi: bool) -> None:
    inventory = take_inventory(cases)
    for lack, reason in (
        (inventory.lack("lesion"), "figures compare with one"),
        (inventory.lack("dwi") if need_dwi else None, "a system that was trained sees it"),
    ):
        if lack:
            raise InputError(f"{lack}, and {reason}: name other cases with --cases.")
