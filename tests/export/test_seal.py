"""What is published: signed, zipped, readable by the workstation; or nothing. Checkpoints are never unpickled."""

import dataclasses
import json
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import bundles
import onnx
import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, InputError, UsageError
from ctpdeploy.export import export_run, seal
from ctpdeploy.runtime import Case


@pytest.fixture
def quick(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs exported before, which saves the time of the exporter."""

    def reuse(network: object, path: Path, **names: object) -> onnx.ModelProto:  # noqa: ARG001  as export_network's
        shutil.copyfile(bundle_folder / path.name, path)
        return onnx.load(path)

    monkeypatch.setattr("ctpdeploy.export.seal.export_network", reuse)


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
    assert "pip install 'ctpdeploy[sign]'" in capsys.readouterr().err
    assert not (tmp_path / "a.ctpbundle").exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("archive", [False, True])
def test_the_second_of_two_exports_publishes_nothing(
    tmp_path: Path, trained_run: Path, phantom_case: Case, archive: bool
):
    out = tmp_path / "out" / "a.ctpbundle"

    def finish_first(step: str) -> None:
        if step == "sealing":
            out.mkdir()
            (out / "first").touch()

    with pytest.raises(UsageError, match="was made by another process meanwhile"):
        export_run(trained_run, out, [phantom_case], on_step=finish_first, archive=archive)
    assert [path.name for path in tmp_path.joinpath("out").rglob("*")] == ["a.ctpbundle", "first"]


@pytest.mark.usefixtures("quick")
def test_what_the_workstation_would_refuse_is_not_published(
    tmp_path: Path, trained_run: Path, phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    describe = seal._describe
    monkeypatch.setattr(seal, "_describe", lambda *given: dataclasses.replace(describe(*given), opset=19))
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
