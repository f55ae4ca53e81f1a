"""What came of a wrong bundle, found out in a process of its own."""

import os
import resource
from multiprocessing.connection import Connection
from pathlib import Path

from campaign.judge import Outcome, compare
from ctpdeploy.errors import CtpdeployError, ExitCode
from ctpdeploy.runtime import Pipeline, read_case
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.gate.inspection import inspect_bundle, repeat_gate

MOST_BYTES = 12 * 2**30
"""Address space of the process: what would take the machine's memory ends as an error."""


def serve(pipe: Connection, backend: str, right: Path, case: Path, log: Path) -> None:
    """Judge the bundles whose paths come through a pipe, until it closes."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with log.open("w") as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
    patient = read_case(case)
    repeat_gate(right, backend)
    expected = predicted(right, backend, patient)
    pipe.send(True)
    while True:
        try:
            bundle = pipe.recv()
        except EOFError:
            return
        pipe.send(judge_bundle(bundle, backend, patient, expected))


def predicted(bundle: Path, backend: str, patient: Case) -> Prediction:
    """The lesion that a bundle finds."""
    with Pipeline.open(bundle, backend) as pipeline:
        return pipeline.predict(patient)


def judge_bundle(bundle: Path, backend: str, patient: Case, expected: Prediction) -> Outcome:
    """Verify a bundle, and predict with it whether it holds or not."""
    try:
        inspect_bundle(bundle)
        repeat_gate(bundle, backend)
        verified = Outcome(verdict="same")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        verified = refused(error)
    try:
        found = predicted(bundle, backend, patient)
        answered = compare(found, expected) if verified.verdict == "same" else verified
    except Exception as error:  # noqa: BLE001 - as above
        answered = refused(error)
    return verified if verified.verdict == "CRASHED" else answered


def refused(error: Exception) -> Outcome:
    """A refusal, if it is one of ours with an exit code and a line that a person can read."""
    words = f"{type(error).__name__}: {error}"
    ours = isinstance(error, CtpdeployError) and error.exit_code in (ExitCode.INPUT, ExitCode.BACKEND, ExitCode.GUARD)
    return Outcome(verdict="refused" if ours and words.isprintable() else "CRASHED", words=words)
