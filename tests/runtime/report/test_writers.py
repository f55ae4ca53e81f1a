import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from support import nifti_cases
from support.predictions import predicted

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime import Case, PerfusionConfig, Pipeline, read_case, write_prediction
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.data.prediction import Provenance
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid
from ctpdeploy.runtime.report.writers import write_volume

SOURCE = Provenance(
    bundle={"name": "x.ctpbundle", "sha256": "0"}, backend_requested="auto", backend_because="It is the first."
)


class Threshold:
    """Tmax above half its window: an engine whose answer can be told from its input."""

    from ctpdeploy.runtime.data.prediction import EngineInfo

    info = EngineInfo(backend="threshold", device="none", precision="fp32")

    def run(self, batch):  # noqa: ANN001
        from ctpdeploy.runtime.data.slices import SliceOutputs

        late = batch.features[:, 3]
        return SliceOutputs(extractor=late[:, None], pseudo_dwi=late[:, None], probability=late)


CONFIG = PreprocessConfig(slice_shape=(64, 64))


def write(out: Path, case: Case) -> Path:
    return write_prediction(out, case, Pipeline(Threshold(), CONFIG, SOURCE).predict(case), seconds={"read": 0.5})


def test_volumes_have_the_header_of_the_series(tmp_path: Path, phantom_folder: Path):
    source = next((phantom_folder / "case_1").glob("*CT_4DPWI*/*.nii"))
    folder = write(tmp_path, read_case(phantom_folder / "case_1"))
    series = nib.load(source)
    for name, dtype in {
        "sub-case1_desc-lesion_mask.nii.gz": np.uint8,
        "sub-case1_desc-lesion_probseg.nii.gz": np.float32,
        "sub-case1_desc-pseudo_dwi.nii.gz": np.float32,
    }.items():
        image = nib.load(folder / name)
        assert image.get_data_dtype() == dtype
        assert image.shape == series.shape[:3]
        assert_array_equal(image.affine, series.affine)
        assert_allclose(image.header.get_zooms(), series.header.get_zooms()[:3])
        assert image.header["sform_code"] == series.header["sform_code"]
        assert image.header["qform_code"] == series.header["qform_code"]
        assert INTENDED_USE.encode() in bytes(image.header["descrip"])
    mask = np.asanyarray(nib.load(folder / "sub-case1_desc-lesion_mask.nii.gz").dataobj)
    tmax = nifti_cases.load(next((phantom_folder / "case_1").glob("*CT_Tmax*/*.nii")))
    assert_array_equal(mask, tmax / CONFIG.time_window > 0.5)


def test_the_report_states_the_card_and_the_threshold(tmp_path: Path, phantom_case: Case):
    card = ModelCard(kind="phantom", validation_dice=0.1, cases={"train": 4}, fingerprints={"train": ["0" * 16]})
    pipeline = Pipeline(Threshold(), replace(CONFIG, threshold=0.35), SOURCE, card=card)
    written = write_prediction(tmp_path, phantom_case, pipeline.predict(phantom_case))
    found = json.loads((written / "report.json").read_text())
    assert found["lesion"]["threshold"] == 0.35
    assert found["notices"] == ["Networks trained on synthetic patients.", INTENDED_USE]
    assert found["model_card"]["reaches_floor"] is False
    assert (found["model_card"]["cases"], "fingerprints" in found["model_card"]) == ({"train": 4}, False)
    assert "networks-poor" in [one["code"] for one in found["findings"] if one["severity"] == "serious"]
    plain = json.loads((write(tmp_path / "plain", phantom_case) / "report.json").read_text())
    assert (plain["lesion"]["threshold"], plain["model_card"], plain["notices"]) == (0.5, None, [INTENDED_USE])


def test_equal_results_are_equal_files(tmp_path: Path, phantom_case: Case):
    one, other = write(tmp_path / "one", phantom_case), write(tmp_path / "other", phantom_case)
    assert len(list(one.glob("*.nii.gz"))) == 3
    for path in one.glob("*.nii.gz"):
        assert path.read_bytes() == (other / path.name).read_bytes()
        assert path.read_bytes()[4:8] == bytes(4)  # no date


def test_a_mask_lies_on_the_voxels_of_any_orientation(tmp_path: Path):
    """Written for a file stored in another order of axes, the mask overlays that file."""
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt("LPS"), nifti_cases.SHAPE) @ np.diag(
        [9.0, 9.0, 6.0, 1.0]
    )
    paths = {"ctp": nifti_cases.save(tmp_path / "ctp.nii", nifti_cases.bolus_series(), affine=affine)}
    for name, data in nifti_cases.maps().items():
        paths[name[3:].lower()] = nifti_cases.save(tmp_path / f"{name}.nii", data, affine=affine)
    case = read_nifti_case("turned", paths)
    write_volume(tmp_path / "tmax.nii.gz", case.maps["tmax"], case)
    assert_allclose(nifti_cases.load(tmp_path / "tmax.nii.gz"), nifti_cases.maps()["CT_Tmax"], rtol=1e-6)
    assert_allclose(nib.load(tmp_path / "tmax.nii.gz").affine, affine, atol=1e-6)
    assert network_grid(case, CONFIG).resample(case.maps["tmax"]).shape == (3, 64, 64)
    assert network_grid(case, CONFIG).restore(np.zeros((3, 64, 64), np.float32)).shape == case.maps["tmax"].shape


def test_the_report_says_what_was_found_and_what_ran(tmp_path: Path, phantom_case: Case):
    folder = write(tmp_path, phantom_case)
    report = json.loads((folder / "report.json").read_text())
    assert report["intended_use"] == INTENDED_USE
    assert report["case"] == "case_1"
    assert report["engine"]["backend"] == "threshold"
    assert report["backend_requested"] == "auto"
    assert report["bundle"] == {"name": "x.ctpbundle", "sha256": "0"}
    assert report["schema"] == 2
    assert report["warnings"] == [found["sentence"] for found in report["findings"]]
    assert report["input"]["frames"] == 20
    assert report["input"]["frame_interval_s"] == pytest.approx(phantom_case.times[1])
    assert report["input"]["frame_interval_source"] == "pixdim"
    assert report["input"]["sides_stated"]
    assert report["lesion"]["volume_ml"] == pytest.approx(
        sum(c["volume_ml"] for c in report["lesion"]["components"]), abs=0.01
    )
    assert list(report["seconds"]) == ["read", "preprocess", "networks", "postprocess", "write", "overview"]
    assert set(report["outputs"].values()) | {"report.json"} == {path.name for path in folder.iterdir()}
    assert report["perfusion_window"]["start_frame"] in range(20)
    assert report["perfusion_window"]["averaged"] is None


def test_frames_that_were_averaged_are_reported(tmp_path: Path, phantom_case: Case):
    config = replace(CONFIG, frame_means=True)
    prediction = Pipeline(Threshold(), config, SOURCE).predict(phantom_case)
    report = json.loads((write_prediction(tmp_path, phantom_case, prediction) / "report.json").read_text())
    window = report["perfusion_window"]
    assert [(first + last) // 2 for first, last in window["averaged"]] == window["frames"]
    assert (window["averaged"][0][0], window["averaged"][-1][1]) == (window["start_frame"], window["end_frame"])


@pytest.mark.parametrize("settings", [None, PerfusionConfig(method="osvd")])
def test_the_report_says_how_maps_were_computed_and_how_late_healthy_tissue_is(
    tmp_path: Path, phantom_case: Case, settings: PerfusionConfig | None
):
    late = dict(phantom_case.maps) | {"tmax": np.full_like(phantom_case.maps["tmax"], 5.25)}
    case = replace(phantom_case, maps=late, perfusion=settings)
    pipeline = Pipeline(Threshold(), CONFIG, SOURCE, settings)
    report = json.loads((write_prediction(tmp_path, case, pipeline.predict(case)) / "report.json").read_text())
    stated = report["perfusion_maps"]
    assert stated["healthy_tmax_s"] == 5.25
    assert [found["code"] for found in report["findings"]] == ["tmax-high"]
    assert f"is {stated['healthy_tmax_s']:.2g} s" in report["findings"][0]["sentence"]
    assert stated["computed_with"] == (None if settings is None else asdict(settings.stated()))


def test_the_overview_is_a_picture_and_shows_the_lesion(tmp_path: Path, phantom_case: Case):
    pixels = np.asarray(Image.open(write(tmp_path, phantom_case) / "overview.png").convert("RGB")).astype(int)
    assert min(pixels.shape[:2]) > 400
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 100) & (pixels[..., 2] < 90)
    assert red.sum() > 50


def test_the_overview_is_radiological(phantom_case: Case):
    """What lies to the patient's right, in front and at the top stands left, up and first."""
    from ctpdeploy.runtime.report.slice_view import View

    shape = phantom_case.series.shape[1:]
    view = View.of(phantom_case, (1, 0))
    marked = np.zeros(shape)
    marked[1, 40:, 40:] = 1.0  # upper slice, front, patient's right
    rows, columns = np.nonzero(view.montage(marked))
    height, width = view.montage(marked).shape
    assert rows.max() < height / 4
    assert columns.max() < width / 2


@pytest.mark.parametrize("slices", [1, 7])
def test_the_overview_copes_with_few_and_many_slices_and_no_lesion(tmp_path: Path, slices: int):
    case = nifti_cases.write_isles(tmp_path / "case_1", shape=(24, 20, slices))
    read = read_case(case)
    engine = Threshold()
    quiet = Pipeline(engine, PreprocessConfig(slice_shape=(32, 32), time_window=1000.0))
    folder = write_prediction(tmp_path / "out", read, quiet.predict(read))
    assert (folder / "overview.png").stat().st_size > 10_000


def test_an_earlier_result_is_replaced_whole(tmp_path: Path, phantom_case: Case):
    folder = write(tmp_path, phantom_case)
    (folder / "sub-case1_desc-pseudo_dwi.nii.gz").rename(folder / "sub-stale_desc-pseudo_dwi.nii.gz")
    write(tmp_path, phantom_case)
    assert not (folder / "sub-stale_desc-pseudo_dwi.nii.gz").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["case_1"]


def test_a_failure_while_writing_leaves_the_earlier_result_and_nothing_else(
    tmp_path: Path, phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    folder = write(tmp_path, phantom_case)
    before = sorted(path.name for path in folder.iterdir())

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("ctpdeploy.runtime.report.writers.write_overview", fail)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path, phantom_case)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["case_1"]


def test_a_whole_folder_is_not_overwritten_unless_asked(tmp_path: Path):
    (tmp_path / "made").mkdir()
    with pytest.raises(UsageError, match="exists already"), atomic_folder(tmp_path / "made"):
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "../victim", "a/b", "/absolute", "x" * 201, "a\0b"])
def test_a_name_that_is_a_path_writes_nothing(tmp_path: Path, phantom_case: Case, name: str):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "series.nii").write_text("a patient's")
    with pytest.raises(InputError, match="is no name for a case"):
        write(tmp_path / "out", replace(phantom_case, identifier=name))
    assert (victim / "series.nii").read_text() == "a patient's"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_only_earlier_results_are_replaced(tmp_path: Path, phantom_case: Case, kind: str):
    place = tmp_path / phantom_case.identifier
    if kind == "folder":
        place.mkdir()
        (place / "series.nii").write_text("a patient's")
    elif kind == "file":
        place.write_text("a patient's")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no results of ctpdeploy"):
        write(tmp_path, phantom_case)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    assert kind != "folder" or (place / "series.nii").exists()


@pytest.mark.parametrize("stranger", ["notes.txt", "sub-case1_desc-lesion_mask_edited.nii.gz", "folder"])
def test_nothing_is_lost_that_somebody_put_beside_a_result(tmp_path: Path, phantom_case: Case, stranger: str):
    place = write(tmp_path, phantom_case)
    (place / ".DS_Store").touch()
    write(tmp_path, phantom_case)
    (place / stranger).mkdir() if stranger == "folder" else (place / stranger).write_text("precious")
    with pytest.raises(UsageError, match=rf"also holds {re.escape(stranger)}, not written by ctpdeploy"):
        write(tmp_path, phantom_case)
    assert (place / stranger).exists()


def test_a_receipt_of_what_was_sent_stays_when_the_case_is_written_anew(tmp_path: Path, phantom_case: Case):
    place = write(tmp_path, phantom_case)
    (place / "receipt.json").write_text("sent")
    (place / "overview.png").write_text("old")
    write(tmp_path, phantom_case)
    assert (place / "receipt.json").read_text() == "sent"
    assert (place / "overview.png").read_bytes() != b"old"


def test_a_link_to_a_result_is_not_replaced(tmp_path: Path, phantom_case: Case):
    place = write(tmp_path / "elsewhere", phantom_case)
    (tmp_path / place.name).symlink_to(place)
    with pytest.raises(UsageError, match="holds no results of ctpdeploy"):
        write(tmp_path, phantom_case)
    assert (place / "report.json").exists()


def test_a_prediction_of_another_case_is_refused(tmp_path: Path, phantom_case: Case):
    other = predicted(np.zeros((3, 64, 64), dtype=bool))
    with pytest.raises(InputError, match="give the case that was predicted"):
        write_prediction(tmp_path, phantom_case, other)
