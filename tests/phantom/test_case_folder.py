"""One case on disk: the layout and the number formats of ISLES 2018."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctpdeploy.phantom import PhantomConfig, make_patient, write_dataset

TINY = PhantomConfig(size=64, slices=2, frames=20)
DTYPES = {
    "CT": np.int32,
    "CT_4DPWI": np.float32,
    "CT_CBF": np.uint16,
    "CT_CBV": np.uint16,
    "CT_MTT": np.float64,
    "CT_Tmax": np.float64,
    "MR_DWI": np.float32,
    "OT": np.uint8,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    write_dataset(out, cases=2, seed=3, config=TINY)
    return out


def volume(case: Path, name: str) -> nib.Nifti1Image:
    (path,) = case.glob(f"*.{name}.*/*.nii")
    return nib.load(path)


def test_layout_and_number_formats(dataset: Path) -> None:
    assert sorted(path.name for path in dataset.iterdir()) == ["case_1", "case_2"]
    files = sorted((dataset / "case_1").glob("*/*.nii"))
    assert [path.parent.name for path in files] == [path.stem for path in files]
    names, identifiers = zip(*(path.stem.removeprefix("SMIR.Brain.XX.O.").split(".") for path in files), strict=True)
    assert set(names) == set(DTYPES)
    assert len(set(identifiers)) == 8
    assert all(len(i) == 6 and i.isdigit() for i in identifiers)
    for name, dtype in DTYPES.items():
        image = volume(dataset / "case_1", name)
        assert image.get_data_dtype() == dtype
        assert image.shape == ((64, 64, 2, 20) if name == "CT_4DPWI" else (64, 64, 2))


def test_header_is_that_of_isles(dataset: Path) -> None:
    image = volume(dataset / "case_1", "CT_4DPWI")
    header = image.header
    np.testing.assert_array_equal(image.affine, np.eye(4))
    assert (int(header["sform_code"]), int(header["qform_code"]), int(header["xyzt_units"])) == (2, 0, 0)
    dx, dy, dz, dt = header.get_zooms()
    assert dx == dy
    assert 205 / 64 <= dx <= 266 / 64
    assert 10 <= dz <= 12
    assert dt == pytest.approx(43 / 20)


def test_isles_interval_and_free_shapes(tmp_path: Path) -> None:
    (case,) = write_dataset(tmp_path, cases=1, seed=1, config=PhantomConfig(size=64, slices=2))
    assert volume(case, "CT_4DPWI").header.get_zooms()[3] == 1.0
    assert float(volume(case, "CT").header["pixdim"][4]) == 1.0
    assert volume(case, "CT_4DPWI").shape[3] in (43, 44, 45, 46, 49, 53, 61, 64)


def test_values_are_the_patient_s(dataset: Path) -> None:
    patient = make_patient(np.random.SeedSequence(3, spawn_key=(1,)), TINY)
    case = dataset / "case_1"
    np.testing.assert_array_equal(volume(case, "CT_4DPWI").get_fdata(dtype=np.float32).T, patient.series)
    np.testing.assert_array_equal(np.asarray(volume(case, "OT").dataobj).T, patient.lesion)
    np.testing.assert_allclose(np.asarray(volume(case, "CT_CBF").dataobj).T, 10 * patient.maps["cbf"], atol=0.5)
    np.testing.assert_allclose(np.asarray(volume(case, "CT_CBV").dataobj).T, 10 * patient.maps["cbv"], atol=0.5)
    np.testing.assert_array_equal(np.asarray(volume(case, "CT_Tmax").dataobj).T, patient.maps["tmax"])


def test_truth(dataset: Path) -> None:
    truth = json.loads((dataset / "case_2" / "truth.json").read_text())
    assert truth["notice"].startswith("Synthetic")
    assert (truth["seed"], truth["case"], truth["config"]["size"]) == (3, 2, 64)
    assert {"site", "side", "onset_hours", "collateral"} <= set(truth["stroke"])
    assert len(truth["aif_hu"]) == 20
    assert truth["lesion_ml"] >= 1.0


def test_a_case_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("ctpdeploy.phantom.case_folder.ground_truth", fail)
    with pytest.raises(OSError, match="disk full"):
        write_dataset(tmp_path, cases=1, config=TINY)
    assert list(tmp_path.iterdir()) == []
