"""A few hundred wrong bundles, each kind of wrong at least once; many are a command (``make campaign``)."""

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from campaign.bundle_judge import judge_bundle, predicted, refused
from campaign.judge import FAILURES, Outcome
from campaign.operator_bundle import STEPS, write_operator_bundle
from campaign.wrong_bundles import KINDS, Judge, run_bundles, spoil
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.backends.onnx_graph.operators import check_operators
from ctpdeploy.runtime.backends.registry import BACKENDS


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_operator_bundle(tmp_path_factory.mktemp("right") / "operators.ctpbundle")


@pytest.fixture(scope="module")
def case(phantom_folder: Path) -> Path:
    return phantom_folder / "case_1"


@pytest.mark.parametrize(("backend", "seed"), [("ort-cpu", 1), ("native", 2)])
def test_a_wrong_bundle_is_refused_in_a_sentence_or_answers_as_before(
    right: Path, case: Path, tmp_path: Path, backend: str, seed: int
) -> None:
    if (reason := BACKENDS[backend].refusal()) is not None:
        pytest.skip(reason)
    said: list[str] = []

    def keep(number: int, name: str, outcome: Outcome) -> None:
        if outcome.verdict in FAILURES:
            said.append(f"{number}: {name}: {outcome.verdict}: {outcome.words}")

    counts = run_bundles(right, case, backend, tmp_path / "work", count=len(KINDS), seed=seed, on_outcome=keep)
    assert not said, "\n".join(said)
    total = sum(counts.values(), Counter())
    assert total["refused"] > 0.75 * len(KINDS)
    assert total["same"] > 0.05 * len(KINDS)
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_changes_the_bundle(right: Path, tmp_path: Path, name: str) -> None:
    def changed(seed: int) -> bool:
        copy = Path(shutil.copytree(right, tmp_path / f"{seed}.ctpbundle"))
        spoil(copy, name, np.random.default_rng(seed))
        return (copy / "bundle.json").read_bytes() != (right / "bundle.json").read_bytes()

    assert any(map(changed, range(5)))


def test_the_network_has_every_operator_that_backends_take() -> None:
    known = set(check_operators.__globals__["_MEANT"])
    assert {operator for operator, *_ in STEPS} | {"Softmax", "Gather"} == known


@pytest.fixture
def judge(right: Path, case: Path, tmp_path: Path) -> Iterator[Judge]:
    made = Judge("ort-cpu", right, case, tmp_path / "printed", longest_s=60.0)
    yield made
    made.close()


def test_a_process_that_dies_or_hangs_is_noticed_and_replaced(judge: Judge, right: Path) -> None:
    assert judge(right).verdict == "same"
    judge._process.kill()
    judge._process.join()
    assert judge(right) == Outcome(verdict="CRASHED", words="exit code -9: ")
    assert judge(right).verdict == "same"
    judge._longest_s = 0.0
    assert judge(right).verdict == "SLOW"
    judge._longest_s = 60.0
    assert judge(right).verdict == "same"


def test_another_mask_from_a_bundle_that_holds_is_silent(right: Path, case: Path) -> None:
    patient = read_case(case)
    expected = predicted(right, "ort-cpu", patient)
    assert judge_bundle(right, "ort-cpu", patient, expected).verdict == "same"
    other = dataclasses.replace(expected.outputs, mask=~expected.outputs.mask)
    assert judge_bundle(right, "ort-cpu", patient, dataclasses.replace(expected, outputs=other)).verdict == "SILENT"


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (InputError("It is damaged: copy it again."), "refused"),
        (InputError("It is\ndamaged."), "CRASHED"),
        (UsageError("It was the user."), "CRASHED"),
        (ValueError("shapes"), "CRASHED"),
    ],
)
def test_a_refusal_is_one_of_ours_in_a_line(error: Exception, verdict: str) -> None:
    assert refused(error).verdict == verdict
