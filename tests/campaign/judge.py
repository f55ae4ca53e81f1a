"""What came of a spoiled case: the same mask, a refusal, a finding, or a wrong mask without a word."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ctpdeploy.errors import CtpdeployError
from ctpdeploy.runtime import Pipeline
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.nifti_case import read_nifti_case

Verdict = Literal["same", "refused", "said", "SILENT", "CRASHED", "SLOW"]
FAILURES: tuple[Verdict, ...] = ("SILENT", "CRASHED", "SLOW")

SAME_DICE = 0.98
SAME_VOLUME = 0.03
SLOWEST_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of one mutated case: the verdict, and what was said of it."""

    verdict: Verdict
    words: str = ""


def judge(pipeline: Pipeline, files: dict[str, Path], right: Prediction) -> Outcome:
    """Predict a case that was spoiled, beside what it gave before."""
    start = time.perf_counter()
    try:
        found = pipeline.predict(read_nifti_case("case", files))
    except CtpdeployError as error:
        outcome = Outcome(verdict="refused", words=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        outcome = Outcome(verdict="CRASHED", words=f"{type(error).__name__}: {error}")
    else:
        outcome = compare(found, right)
    if time.perf_counter() - start > SLOWEST_S:
        return Outcome(verdict="SLOW", words=outcome.words)
    return outcome


def compare(found: Prediction, right: Prediction) -> Outcome:
    """A prediction beside the right one."""
    known = {finding.code for finding in right.findings}
    news = [finding for finding in found.findings if finding.code not in known and finding.severity != "note"]
    if news:
        return Outcome(verdict="said", words=", ".join(finding.code for finding in news))
    ours, theirs = found.outputs.mask, right.outputs.mask
    volumes = f"{right.volume_ml:.1f} ml became {found.volume_ml:.1f} ml"
    if ours.shape != theirs.shape:
        return Outcome(verdict="SILENT", words=f"shape {theirs.shape} became {ours.shape}")
    total = int(ours.sum() + theirs.sum())
    dice = 2 * int(np.sum(ours & theirs)) / total if total else 1.0
    change = abs(found.volume_ml - right.volume_ml) / max(right.volume_ml, 1.0)
    same = dice >= SAME_DICE and change <= SAME_VOLUME
    return Outcome(verdict="same" if same else "SILENT", words="" if same else f"{volumes}, Dice {dice:.2f}")
