"""What is published: signed, zipped, readable by the workstation; or nothing. Checkpoints are never unpickled."""

import dataclasses
import json
import os
import pickle
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import bundles
from support.learned import as_if_learned

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, GateError, GuardError, InputError, UsageError
from ctpdeploy.export import ExportOptions, export_run, graph_builder
from ctpdeploy.runtime import Bundle, Case, PerfusionConfig, Pipeline, read_case
from ctpdeploy.runtime.gate.gate import reference_of
from ctpdeploy.runtime.gate.inspection import inspect_bundle, repeat_gate
from ctpdeploy.runtime.gate.verification import LIMITS, Limits
from ctpdeploy.runtime.preprocess.preprocess import preprocess
from ctpdeploy.train import open_run


@pytest.fixture
def quick(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs exported before, which saves the time of the exporter."""

    bundles.reuse_graphs(bundle_folder, monkeypatch)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_who_may_read_a_new_file_may_read_the_bundle(bundle_folder: Path, trained_run: Path, tmp_path: Path):
    """Also what safetensors wrote, which is for its owner alone at first."""
    (tmp_path / "new").touch()
    mode = (tmp_path / "new").stat().st_mode
    checkpoint = trained_run / "checkpoints" / "best"
    files = [path for folder in (bundle_folder, checkpoint) for path in folder.iterdir()]
    assert {path.suffix for path in files} == {".json", ".onnx", ".safetensors"}
    assert {path.name: path.stat().st_mode for path in files} == {path.name: mode for path in files}


@pytest.mark.usefixtures("quick")
def test_a_signed_zip_goes_all_the_way(
    tmp_path: Path,
    trained_run: Path,
    phantom_folder: Path,
    bundle_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    private, public = bundles.write_keys(tmp_path, "maker", password=b"secret")
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "secret")
    case = str(phantom_folder / "case_1")
    arguments = ["export", str(trained_run), "--out", str(tmp_path / "out" / "a.ctpbundle"), "--cases", case]
    options = ["--zip", "--sign", str(private), "--licence", "CC-BY-4.0"]
    assert run([*arguments, *options]) == ExitCode.DONE
    archive = tmp_path / "out" / "a.ctpbundle.zip"
    assert f"The bundle is {archive}" in capsys.readouterr().err
    assert list(archive.parent.iterdir()) == [archive]
    with zipfile.ZipFile(archive) as opened:
        assert set(opened.namelist()) == {*(path.name for path in bundle_folder.iterdir()), "bundle.sig"}
    assert run(["verify", str(archive), "--key", str(public), "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    assert (findings["signature"], findings["licence"], findings["system"]) == ("holds", "CC-BY-4.0", "dwi_olh")
    assert findings["networks"]["generator"]["sees"] == ["features", "extractor"]
    assert findings["gate_checks"] == 8
    assert [trial["candidate"] for trial in findings["gate"]] == ["networks", "ort-cpu"]
    results = ["--out", str(tmp_path / "results"), "--require-signature", str(public)]
    assert run(["infer", str(archive), case, *results]) == ExitCode.DONE
    assert (tmp_path / "results" / "case_1" / "report.json").is_file()


def test_a_key_that_will_not_do_is_found_before_the_work(
    tmp_path: Path, trained_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    arguments = ["export", str(trained_run), "--out", str(tmp_path / "a.ctpbundle"), "--sign"]
    private, public = bundles.write_keys(tmp_path, "maker", password=b"secret")
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "wrong")
    for key, message in (
        (tmp_path / "nothing.pem", "There is no key"),
        (public, "is no private key of an elliptic curve"),
        (private, "is no private key of an elliptic curve in PEM that can be read"),
    ):
        assert run([*arguments, str(key)]) == ExitCode.USAGE
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "model_signing", None)
    assert run([*arguments, str(private)]) == ExitCode.BACKEND
    assert "install ctpdeploy with its extra sign" in capsys.readouterr().err
    assert not (tmp_path / "a.ctpbundle").exists()


@pytest.mark.usefixtures("quick")
def test_maps_are_computed_on_the_workstation_as_for_the_training(
    tmp_path: Path, trained_run: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    """From the configuration of a run to the report of a case that has no maps."""
    own = Path(shutil.copytree(trained_run, tmp_path / "run"))
    settings = json.loads((own / "config.json").read_text())
    settings["perfusion"] = {"method": "osvd", "tmax": "onset"}
    (own / "config.json").write_text(json.dumps(settings))
    raw = Path(shutil.copytree(phantom_folder / "case_2", tmp_path / "raw" / "case_2"))
    for name in ("CBF", "CBV", "MTT", "Tmax"):
        shutil.rmtree(next(raw.glob(f"*CT_{name}*")))
    bundle, expected = tmp_path / "a.ctpbundle", PerfusionConfig(method="osvd", tmax="onset")
    assert run(["export", str(own), "--out", str(bundle), "--cases", str(raw)]) == ExitCode.DONE
    assert Pipeline.open(bundle).perfusion == expected.stated()
    assert run(["infer", str(bundle), str(raw), "--out", str(tmp_path / "results")]) == ExitCode.DONE
    report = json.loads((tmp_path / "results" / "case_2" / "report.json").read_text())
    assert report["perfusion_maps"]["computed_with"] == dataclasses.asdict(expected.stated())
    for model in (bundle, own):
        assert run(["evaluate", str(model), str(raw), "--out", str(tmp_path / "scores")]) == ExitCode.DONE
    capsys.readouterr()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("archive", [False, True])
def test_the_second_of_two_exports_publishes_nothing(
    tmp_path: Path, trained_run: Path, phantom_case: Case, archive: bool
):
    out = tmp_path / "out" / "a.ctpbundle"

    def finish_first(step: str, _: float) -> None:
        if step == "sealing":
            out.mkdir()
            (out / "first").touch()

    with pytest.raises(UsageError, match="was made by another process meanwhile"):
        export_run(trained_run, out, [phantom_case], progress=finish_first, options=ExportOptions(archive=archive))
    assert [path.name for path in tmp_path.joinpath("out").rglob("*")] == ["a.ctpbundle", "first"]


@pytest.mark.usefixtures("quick")
def test_of_two_exports_at_once_one_whole_bundle_is_left(tmp_path: Path, trained_run: Path, phantom_case: Case):
    out = tmp_path / "out" / "a.ctpbundle"

    def export(_: int) -> str:
        try:
            return str(export_run(trained_run, out, [phantom_case]).slices)
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        results = set(pool.map(export, range(2)))
    (refusal,) = results - {"4"}
    assert "4" in results
    assert "exists already" in refusal or "was made by another process meanwhile" in refusal
    assert [path.name for path in out.parent.iterdir()] == ["a.ctpbundle"]
    with Bundle.open(out) as bundle:
        for name in bundle.networks:
            bundle.network_file(name)


@pytest.mark.usefixtures("quick")
def test_an_approximate_bundle_says_so_and_is_used_as_any(
    tmp_path: Path, trained_run: Path, phantom_folder: Path, phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    """With limits that all layers hold: the search for those that do not is that of test_precision."""
    generous = Limits(rms_ratio=None, max_ratio=None, flips=None, dice=0.9, batch_difference=1.0)
    monkeypatch.setitem(LIMITS, "fp16", generous)
    options = ExportOptions(precision="fp16")
    verification = export_run(trained_run, tmp_path / "half.ctpbundle", [phantom_case], options=options)
    assert [trial.candidate for trial in verification.trials] == ["folded", "onnx", "onnx fp16"]
    with Bundle.open(tmp_path / "half.ctpbundle") as bundle:
        assert (bundle.precision, bundle.static_norm) == ("fp16", False)
    pipeline = Pipeline.open(tmp_path / "half.ctpbundle")
    assert pipeline.predict(read_case(phantom_folder / "case_2")).outputs.engine.precision == "fp16"


@pytest.mark.usefixtures("quick")
def test_cases_of_the_gate_do_not_travel(tmp_path: Path, trained_run: Path, phantom_folder: Path, phantom_case: Case):
    patient = read_case(phantom_folder / "case_2")
    verification = export_run(trained_run, tmp_path / "a.ctpbundle", [phantom_case], cases=[patient])
    assert (verification.slices, verification.cases) == (6, ("case_1", "case_1-coarse", "case_2"))
    with Bundle.open(tmp_path / "a.ctpbundle") as bundle:
        reference, expected = reference_of(bundle), preprocess(phantom_case, bundle.preprocess)[0]
    assert reference.raw is not None
    np.testing.assert_array_equal(reference.frames, np.concatenate([expected.frames, reference.raw.expected.frames]))


def test_what_needs_calibration_asks_for_it(tmp_path: Path, trained_run: Path, phantom_case: Case):
    for options, message in (
        (ExportOptions(precision="int8"), "need calibration cases"),
        (ExportOptions(static_norm=True), "need calibration cases"),
        (ExportOptions(precision="bf16"), "There is no precision 'bf16': choose fp32, fp16, int8"),
    ):
        with pytest.raises(UsageError, match=message):
            export_run(trained_run, tmp_path / "a.ctpbundle", [phantom_case], options=options)


def test_options_that_would_do_nothing_or_fail_late_are_refused_at_once(
    tmp_path: Path, trained_run: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["export", str(trained_run), "--out", str(tmp_path / "a.ctpbundle")]
    for options, message in (
        (["--calibrate", str(phantom_folder)], "Nothing is calibrated"),
        (["--triton", str(tmp_path)], "exists already: choose another folder"),
        (["--precision", "bf16"], "There is no precision 'bf16'"),
    ):
        assert run([*arguments, *options]) == ExitCode.USAGE
        assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_repository_for_triton_lies_beside_the_bundle(
    tmp_path: Path, trained_run: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    out, models = tmp_path / "a.ctpbundle", tmp_path / "models"
    case = str(phantom_folder / "case_1")
    assert run(["export", str(trained_run), "--out", str(out), "--cases", case, "--triton", str(models)]) == 0
    assert "serves ctp_pipeline_onnx as it is" in capsys.readouterr().err
    served = models / "ctp_pipeline_onnx" / "1" / "model.onnx"
    assert served.read_bytes() == (out / "pipeline.onnx").read_bytes()


@pytest.mark.usefixtures("quick")
def test_what_the_workstation_would_refuse_is_not_published(
    tmp_path: Path, trained_run: Path, phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    written = graph_builder._written
    monkeypatch.setattr(graph_builder, "_written", lambda *given: dataclasses.replace(written(*given), opset=19))
    with pytest.raises(InputError, match=r"uses opset \[20\], not 19"):
        export_run(trained_run, tmp_path / "out" / "a.ctpbundle", [phantom_case])
    assert list((tmp_path / "out").iterdir()) == []


class Attack:
    mark: Path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("inside_zip", [False, True])  # as pickle.dump and as torch.save write it
def test_a_renamed_pickle_is_no_checkpoint(tmp_path: Path, trained_run: Path, phantom_case: Case, inside_zip: bool):
    Attack.mark = tmp_path / "unpickled"
    trained = Path(shutil.copytree(trained_run, tmp_path / "run"))
    checkpoint = trained / "checkpoints" / "best" / "generator.safetensors"
    if inside_zip:
        with zipfile.ZipFile(checkpoint, "w") as written:
            written.writestr("archive/data.pkl", pickle.dumps(Attack()))
    else:
        checkpoint.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(InputError, match=r"generator\.safetensors is no network checkpoint that can be read") as stop:
        export_run(trained, tmp_path / "a.ctpbundle", [phantom_case])
    assert len(str(stop.value).splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


@pytest.mark.usefixtures("quick")
def test_networks_under_the_floor_are_refused_or_marked(
    tmp_path: Path, trained_run: Path, phantom_case: Case, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    own = Path(shutil.copytree(trained_run, tmp_path / "run"))
    as_if_learned(own, dice=0.05)
    bundle, case = tmp_path / "out" / "a.ctpbundle", str(phantom_folder / "case_1")
    command = ["export", str(own), "--out", str(bundle), "--cases", case]
    assert run(command) == ExitCode.GUARD
    assert "a mean Dice of 0.05 on 1 validation cases" in capsys.readouterr().err
    assert not bundle.exists()
    assert run([*command, "--allow-poor"]) == ExitCode.DONE
    (found,) = (one for one in Pipeline.open(bundle).predict(phantom_case).findings if one.code == "networks-poor")
    assert found.severity == "serious"
    assert run(["verify", str(bundle), "--no-gate"]) == ExitCode.DONE
    assert "mean validation Dice 0.050, which is of no use" in " ".join(capsys.readouterr().err.split())
    assert run(["infer", str(bundle), case, "--out", str(tmp_path / "results")]) == ExitCode.DONE
    said = " ".join(capsys.readouterr().err.split())
    assert "case_1: The networks reached a mean Dice of 0.05" in said
    assert "Networks trained on synthetic patients. Research use only" in said


@pytest.mark.usefixtures("quick")
def test_a_run_that_was_stopped_is_judged_by_its_best_epoch(tmp_path: Path, trained_run: Path, phantom_case: Case):
    own = Path(shutil.copytree(trained_run, tmp_path / "run"))
    (own / "checkpoints/best/calibration.json").unlink()
    state = own / "checkpoints/best/state.json"
    state.write_text(json.dumps({"epoch": 1, "best_epoch": 1, "best_score": 0.19}))
    with pytest.raises(GuardError, match=r"a mean Dice of 0\.19 on 1 validation cases, and under 0\.2"):
        export_run(own, tmp_path / "a.ctpbundle", [phantom_case])
    state.unlink()
    with pytest.raises(GuardError, match=r"were not validated: train .* longer or on more cases, or mark"):
        export_run(own, tmp_path / "a.ctpbundle", [phantom_case])


@pytest.mark.usefixtures("quick")
def test_the_threshold_of_the_run_draws_the_mask(tmp_path: Path, trained_run: Path, phantom_case: Case):
    own = Path(shutil.copytree(trained_run, tmp_path / "run"))
    middle = float(np.median(open_run(own).predict(phantom_case).probability))
    as_if_learned(own, threshold=round(middle, 2), cases=6)
    export_run(own, tmp_path / "a.ctpbundle", [phantom_case])
    with Bundle.open(tmp_path / "a.ctpbundle") as bundle:
        assert (bundle.preprocess.threshold, bundle.card.threshold_from) == (round(middle, 2), 6)
        assert reference_of(bundle).threshold == round(middle, 2)
    assert inspect_bundle(tmp_path / "a.ctpbundle")["threshold"] == round(middle, 2)
    repeat_gate(tmp_path / "a.ctpbundle", "ort-cpu")
    for pipeline in (open_run(own), Pipeline.open(tmp_path / "a.ctpbundle")):
        found = pipeline.predict(phantom_case)
        assert (found.mask == (found.probability > round(middle, 2))).all()
        assert found.threshold == round(middle, 2)
    bundles.edit_manifest(tmp_path / "a.ctpbundle", lambda content: content["preprocess"].pop("threshold"))
    with pytest.raises(GateError, match=r"threshold is off by"):
        Pipeline.open(tmp_path / "a.ctpbundle")
