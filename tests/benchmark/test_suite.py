"""A real bundle on real backends, and what must stop a benchmark before it says a figure."""

import dataclasses
import json
import shutil
from pathlib import Path

import bundle_tables
import numpy as np
import onnx
import pytest
from support.bundles import edit_network, write_bundle
from support.nifti_cases import only_case

from ctpdeploy.benchmark import Plan, Results, chosen_backends, run_benchmark
from ctpdeploy.benchmark.per_network import networks_alone
from ctpdeploy.benchmark.stages import UNACCOUNTED
from ctpdeploy.benchmark.tables import heading, remarks, tables
from ctpdeploy.errors import BackendError, GateError, GuardError, UsageError
from ctpdeploy.runtime import Bundle, find_cases
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.registry import BACKENDS, Backend
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.gate.gate import reference_of

ROUNDS = 3


@pytest.fixture(scope="module")
def plan(bundle_folder: Path, phantom_folder: Path) -> Plan:
    pytest.importorskip("ncnn")
    cases = find_cases(phantom_folder)[:2]
    return Plan(bundle=bundle_folder, cases=cases, synthetic=True, backends=["ort-cpu", "ncnn"], rounds=ROUNDS)


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def results(plan: Plan, told: list[tuple[str, float]]) -> Results:
    return run_benchmark(plan, lambda text, done: told.append((text, done)))


def test_all_is_measured_of_every_backend(results: Results, bundle_folder: Path):
    assert list(results.backends) == ["ort-cpu", "ncnn"]
    for name, backend in results.backends.items():
        assert backend.engine.backend == name
        assert list(backend.stages_s) == ["read", "preprocess", "networks", "postprocess", "write", "overview"]
        assert list(backend.networks_share) == ["extractor", "generator", "segmenter"]
        assert sum(backend.networks_share.values()) == pytest.approx(1.0)
        assert [cost.slices for cost in backend.by_slices] == [1, 2]
        assert backend.files_s.count == ROUNDS
        assert backend.files_s.least > 0
        assert 0 < backend.check.times_eager_error < 4
        assert backend.process.first_mask_s > backend.process.startup_s > 0, "one lies within the other"
        assert backend.folder_case_s > 0
        assert backend.process.peak_bytes is None or 1e8 < backend.process.peak_bytes < 1e10
    itself, other = (results.backends[name].times_first for name in ("ort-cpu", "ncnn"))
    assert {what: (x.least, x.p50, x.greatest) for what, x in itself.items()} == dict.fromkeys(other, (1, 1, 1))
    assert list(other) == ["one slice", "all slices", "files to files"]
    assert all(0 < x.least <= x.p50 <= x.greatest for x in other.values())
    assert {x.count for x in other.values()} == {ROUNDS}
    assert results.sgemm_gflops.count == results.copy_gb_per_s.count == ROUNDS
    assert [cost.frames for cost in results.by_frames] == [10, 20]
    with Bundle.open(bundle_folder) as bundle:
        assert results.bundle["sha256"] == bundle.sha256


def test_stages_that_do_not_add_up_to_the_wall_time_are_said(results: Results):
    for name, backend in results.backends.items():
        assert any(name in remark for remark in remarks(results)) == (abs(backend.unaccounted) > UNACCOUNTED)
    ort_cpu = dataclasses.replace(results.backends["ort-cpu"], unaccounted=0.034)
    (remark,) = [x for x in remarks(dataclasses.replace(results, backends={"ort-cpu": ort_cpu})) if "ort-cpu" in x]
    assert "3.4%" in remark


def test_what_goes_on_is_told_from_beginning_to_end(results: Results, told: list[tuple[str, float]]):
    assert results.rounds == ROUNDS
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1
    assert 0.7 < shares[-1] <= 1
    assert any("round 2 of 3: ncnn" in text for text, _ in told)


def test_results_are_json_and_tables(results: Results):
    figures = json.loads(json.dumps(results.to_json(), allow_nan=False))
    assert figures["schema"] == 2
    assert figures["intended_use"].startswith("Research use only")
    assert figures["backends"]["ncnn"]["by_slices"][0]["latency_s"]["p95"] is None
    assert "2 slices of 64 x 64, 20 frames" in heading(results)[0]
    for header, rows in tables(results):
        assert rows
        assert {len(row) for row in rows} == {len(header)}
    for made in (bundle_tables.stages, bundle_tables.slices, bundle_tables.frames, bundle_tables.process):
        lines = made(figures).split("\n")
        assert len(lines) > 2
        assert len({line.count("|") for line in lines}) == 1
    alone = dataclasses.replace(results, backends={"ncnn": results.backends["ncnn"]})
    assert len(tables(alone)) == len(tables(results)) - 1  # nothing to compare with


class Fading(Engine):
    """ONNX Runtime as long as it is looked at, and after that labels the wrong way round."""

    def __init__(self, bundle: Bundle) -> None:
        self._engine, self._left = ort_cpu.open_engine(bundle), 6

    @property
    def info(self) -> EngineInfo:
        return dataclasses.replace(self._engine.info, backend="fading")

    def run(self, batch: SliceBatch) -> SliceOutputs:
        outputs = self._engine.run(batch)
        self._left -= 1
        if self._left >= 0:
            return outputs
        return dataclasses.replace(outputs, probability=(1 - outputs.probability).astype(np.float32))


class Swapped(Fading):
    def __init__(self, bundle: Bundle) -> None:
        super().__init__(bundle)
        self._left = 0


class OffByALittle(Fading):
    def run(self, batch: SliceBatch) -> SliceOutputs:
        outputs = self._engine.run(batch)
        return dataclasses.replace(outputs, probability=outputs.probability + np.float32(0.01))


def plan_with(
    engine: type[Fading], monkeypatch: pytest.MonkeyPatch, folder: Path, cases: Path, backends: list[str]
) -> Plan:
    """A plan for a further backend."""
    backend = Backend(extra=None, packages=(), open=engine)
    monkeypatch.setitem(BACKENDS, "fading", backend)
    case = only_case(cases / "case_1")
    return Plan(bundle=write_bundle(folder), cases=[case, case], synthetic=True, backends=backends, rounds=3)


@pytest.mark.parametrize("engine", [Swapped, OffByALittle])
def test_a_wrong_engine_is_not_timed(
    engine: type[Fading], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, phantom_folder: Path
):
    plan = plan_with(engine, monkeypatch, tmp_path / "bundle", phantom_folder, ["ort-cpu", "fading"])
    told: list[str] = []
    with pytest.raises(GateError, match=r"fading chain has .* times eager's own error.* nothing was timed"):
        run_benchmark(plan, lambda text, _: told.append(text))
    assert not any("round" in text for text in told)


def test_an_engine_that_changes_its_mind_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, phantom_folder: Path
):
    plan = plan_with(Fading, monkeypatch, tmp_path / "bundle", phantom_folder, ["fading"])
    with pytest.raises(GuardError, match=r"fading.* changes a probability by"):
        run_benchmark(plan)


def test_backends_are_those_asked_for_or_all_that_can_run(monkeypatch: pytest.MonkeyPatch):
    able = [name for name, backend in BACKENDS.items() if backend.unavailable_because() is None]
    assert chosen_backends([]) == able
    assert chosen_backends(["ncnn", "ort-cpu"]) == ["ncnn", "ort-cpu"]
    with pytest.raises(UsageError, match="twice"):
        chosen_backends(["ncnn", "ncnn"])
    nothing = Backend(extra=None, packages=(), open=Fading, unavailable_because=lambda: "it is broken.")
    for name in BACKENDS:
        monkeypatch.setitem(BACKENDS, name, nothing)
    with pytest.raises(BackendError, match="No backend can run here"):
        chosen_backends([])


def fewer_channels(model: onnx.ModelProto) -> None:
    """Of the first convolution's weights: ONNX Runtime notices it when it runs."""
    name = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weights = next(one for one in model.graph.initializer if one.name == name)
    less = np.ascontiguousarray(onnx.numpy_helper.to_array(weights)[:, 1:])
    weights.CopyFrom(onnx.numpy_helper.from_array(less, name))


def test_a_network_that_does_not_run_alone_is_a_sentence(bundle_folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "wrong.ctpbundle"))
    edit_network(copy, fewer_channels, "extractor")
    with Bundle.open(copy) as bundle:
        alone = networks_alone(bundle, "ort-cpu", reference_of(bundle))
        for _ in range(2):
            with pytest.raises(
                BackendError, match=r"^The extractor of .* does not run alone on ort-cpu \(.*\): export"
            ):
                alone["extractor"]()
        assert alone["segmenter"]() is not None
