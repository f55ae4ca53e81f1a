"""The hidden backend: everything of the GPU's way but the GPU, from files to files."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.cli.options import with_emulator
from ctpdeploy.errors import BackendError, ExitCode, UsageError
from ctpdeploy.runtime import Bundle, Case
from ctpdeploy.runtime.backends.engine import CaseEngine
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.backends.registry import BACKENDS, HIDDEN, choose, open_engine
from ctpdeploy.runtime.gate.gate import reference_of, try_engine

AMPLIFIED = 3e-5
"""Between probabilities of inputs that are within 1e-6, since they are resampled."""


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    """As the command line does it where the emulator is asked for."""
    assert with_emulator("cuda-host") == "cuda-host"


@pytest.fixture(scope="module")
def bundle(host_library: Path, bundle_folder: Path) -> Bundle:
    del host_library  # where there is no g++, it says so
    return Bundle.open(bundle_folder)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> CaseEngine:
    engine = open_engine(bundle, "cuda-host")
    assert isinstance(engine, CaseEngine)
    return engine


def test_a_case_on_the_networks_grid_gives_what_onnx_runtime_gives(
    bundle: Bundle, engine: CaseEngine, phantom_case: Case
):
    expected = run_reference_path(open_engine(bundle, "ort-cpu"), phantom_case, bundle.preprocess)
    for _ in range(3):  # as it is, its graph compared, its graph
        found = engine.run_case(phantom_case, bundle.preprocess)
        assert_array_equal(found.probability, expected.probability)
        assert_array_equal(found.pseudo_dwi, expected.pseudo_dwi)
        assert_array_equal(found.mask, expected.mask)
        assert found.findings == ()
    assert found.engine.cuda_graph == "active"


def test_the_gate_holds_with_graphs_too(bundle: Bundle, engine: CaseEngine):
    for _ in range(2):
        trial = try_engine(bundle, engine, reference_of(bundle))
        assert trial.candidate == "cuda-host"
        assert not trial.failures()
    assert engine.info.cuda_graph == "active"


def test_it_is_listed_nowhere(bundle: Bundle, capsys: pytest.CaptureFixture[str]):
    assert list(HIDDEN) == ["cuda-host"]
    assert not set(HIDDEN) & set(BACKENDS)
    assert choose(bundle).backend in BACKENDS
    with pytest.raises(UsageError) as refused:
        open_engine(bundle, "cuda")
    run(["infer", "--help"])
    run(["doctor"])
    assert "cuda-host" not in str(refused.value) + capsys.readouterr().out


def test_from_files_to_files(host_library: Path, bundle_folder: Path, tmp_path: Path, capsys):  # noqa: ANN001
    """9 slices of other voxels and an odd size, in two batches: the mask of ``ort-cpu``."""
    del host_library
    case = nifti_cases.write_isles(tmp_path / "in" / "case_7", shape=(70, 66, 9), frames=16, zooms=(1.3, 1.3, 4.0))
    reports = {}
    for backend in ("ort-cpu", "cuda-host"):
        out = tmp_path / backend
        arguments = ["infer", str(bundle_folder), str(case), "--out", str(out), "--backend", backend, "--json"]
        assert run(arguments) == ExitCode.DONE
        reports[backend] = json.loads(capsys.readouterr().out)["cases"][0]
    fast, slow = reports["cuda-host"], reports["ort-cpu"]
    assert fast["engine"]["backend"] == fast["backend_requested"] == "cuda-host"
    assert fast["engine"]["cuda_graph"] == "pending"
    assert slow["engine"]["cuda_graph"] is None
    assert fast["lesion"] == slow["lesion"]
    assert fast["perfusion_window"] == slow["perfusion_window"]
    assert fast["warnings"] == slow["warnings"]
    assert set(fast["seconds"]) == set(slow["seconds"])
    volumes = {
        name: [nifti_cases.load(tmp_path / backend / "case_7" / slow["outputs"][name]) for backend in reports]
        for name in ("mask", "probability", "pseudo_dwi")
    }
    assert_array_equal(*volumes.pop("mask"))
    for pair in volumes.values():
        assert_allclose(*pair, rtol=0, atol=AMPLIFIED)


def test_the_command_passes_the_gate(host_library: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]):
    del host_library
    assert run(["verify", str(bundle_folder), "--backend", "cuda-host", "--json"]) == ExitCode.DONE
    gate = json.loads(capsys.readouterr().out)["gate"]
    assert [trial["candidate"] for trial in gate] == ["networks", "cuda-host"]
    assert all(np.isfinite(check["rms_error"]) for trial in gate for check in trial["checks"])


def test_without_a_compiler_that_is_said(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"g\+\+ cannot be run .*: install it, or put it on the PATH"):
        open_engine(Bundle.open(bundle_folder), "cuda-host")
