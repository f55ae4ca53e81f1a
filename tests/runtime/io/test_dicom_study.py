"""Cases of DICOM studies, against the same scan in NIfTI."""

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset
from support.dicom_images import head_series, uid, write_scan
from support.nifti_cases import write_isles

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, find_cases, read_case
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.io.layout import case_of_files

INTERVAL = 2.0


def write(folder: Path, case: Case, **options: Any) -> np.ndarray:
    """A patient's series as a scanner writes it, the nose up."""
    hu = np.rint(case.series[:, :, ::-1]).astype(np.int16)
    return write_scan(folder, hu, INTERVAL * np.arange(len(hu)), spacing=case.geometry.spacing, **options)


def nifti_twin(folder: Path, hu: np.ndarray, case: Case) -> Path:
    """The series as another's converter would write it: axes to the left, to the back, to the head, in RAS+."""
    dz, dy, dx = case.geometry.spacing
    affine = np.diag([-dx, -dy, dz, 1.0])
    affine[:3, 3] = (108.0, 90.0, 0.0)
    image = nib.Nifti1Image(hu.T, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((dx, dy, dz, INTERVAL))
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nib.save(image, folder / "twin.nii")
    return folder / "twin.nii"


def test_a_scan_is_the_same_case_as_its_nifti_twin(tmp_path: Path, phantom_case: Case):
    hu = write(tmp_path / "study", phantom_case)
    found = read_case(tmp_path / "study")
    twin = case_of_files("twin", {"ctp": nifti_twin(tmp_path, hu, phantom_case)}).read()
    assert found.identifier == "study"
    assert found.series.dtype == twin.series.dtype
    assert_array_equal(found.series, twin.series)
    for name, values in twin.maps.items():
        assert_array_equal(found.maps[name], values)
    assert_allclose(found.times, twin.times, atol=1e-6)
    assert_allclose(found.geometry.affine, twin.geometry.affine, rtol=1e-6)
    assert found.geometry.spacing == pytest.approx(twin.geometry.spacing)
    assert found.interval_source == "AcquisitionTime"
    assert isinstance(found.source, DicomSource)
    assert np.shape(found.source.instance_uids) == hu.shape[:2]
    assert found.source.instance_uids[4][1] == uid("study", "ctp", "4-1")
    firsts = [uid("study", "ctp", f"0-{z}").encode() for z in range(hu.shape[1])]
    assert all(name in file.read_bytes() for name, (file, _) in zip(firsts, found.source.first_phase, strict=True))


def test_times_of_slices_are_in_the_order_of_the_case(tmp_path: Path, phantom_case: Case):
    def downward(data: Dataset, *_: int) -> None:
        data.ImageOrientationPatient = [1, 0, 0, 0, -1, 0]

    times = INTERVAL * np.arange(len(phantom_case.times))[:, None] + np.array([0.0, 0.5])
    hu = np.rint(phantom_case.series).astype(np.int16)
    write_scan(tmp_path / "study", hu, times, spacing=phantom_case.geometry.spacing, edit=downward)
    found = read_case(tmp_path / "study")
    assert found.slice_times is not None
    assert_allclose(found.slice_times, times)


def test_a_frame_interval_overrules_the_images(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "study", phantom_case)
    found = read_case(tmp_path / "study", frame_interval=1.5)
    assert (found.frame_interval, found.interval_source) == (1.5, "frame_interval")


def test_points_in_time_that_are_only_counted_need_an_interval(tmp_path: Path, phantom_case: Case):
    def counted(data: Dataset, t: int, _: int) -> None:
        del data.AcquisitionDate, data.AcquisitionTime
        data.TemporalPositionIdentifier = t + 1

    write(tmp_path / "study", phantom_case, edit=counted)
    with pytest.raises(InputError, match="counts its points in time and does not state them: give --frame-interval"):
        read_case(tmp_path / "study")
    assert read_case(tmp_path / "study", frame_interval=2.0).interval_source == "frame_interval"


def test_studies_are_cases_called_by_their_folders(tmp_path: Path, phantom_case: Case):
    for name in ("anna", "bert"):
        write(tmp_path / "in" / name / "DICOM" / "S1", phantom_case, study=name)
    cases = find_cases(tmp_path / "in")
    assert [(case.name, case.layout) for case in cases] == [("anna", "DICOM"), ("bert", "DICOM")]
    assert [case.folder for case in cases] == [tmp_path / "in" / "anna", tmp_path / "in" / "bert"]
    (alone,) = find_cases(tmp_path / "in" / "anna")
    assert alone.name == "anna"


def test_studies_in_one_folder_are_told_apart_by_a_digest(tmp_path: Path, phantom_case: Case):
    for name in ("anna", "bert"):
        write(tmp_path / "in", phantom_case, study=name, series=name)
    first, second = find_cases(tmp_path / "in")
    assert first.name != second.name
    assert all(case.name.startswith("in-") and len(case.name) == 11 for case in (first, second))
    assert first.read().source != second.read().source


def pack(folder: Path, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as packed:
        for path in folder.iterdir():
            packed.write(path, path.name)


def encrypted(archive: Path) -> None:
    """By the flag of each member, as far as a reader comes without the password."""
    content = bytearray(archive.read_bytes())
    for mark, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + flags] |= 1
            at = content.find(mark, at + 4)
    archive.write_bytes(content)


def damaged(archive: Path) -> None:
    """A bit of the pixels of every member, which only its checksum tells."""
    with zipfile.ZipFile(archive) as packed:
        members = [(member.header_offset, member.file_size) for member in packed.infolist()]
    content = bytearray(archive.read_bytes())
    for start, size in members:
        content[start + size - 100] ^= 1
    archive.write_bytes(content)


def nested(archive: Path) -> None:
    archive.rename(archive.with_suffix(".inner"))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(archive.with_suffix(".inner"), "inner.zip")


HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:9000]), "is no whole archive"),
    "encrypted": (encrypted, "is encrypted"),
    "damaged": (damaged, "Bad CRC-32"),
    "nested": (nested, "is an archive in an archive: unpack it"),
    "empty": (lambda path: path.write_bytes(b""), "is no whole archive"),
}


@pytest.mark.parametrize("harm", HARM)
def test_an_archive_that_cannot_be_read_is_a_case_at_fault_among_others(tmp_path: Path, phantom_case: Case, harm: str):
    write(tmp_path / "files", phantom_case, study="bad")
    pack(tmp_path / "files", tmp_path / "in" / "bad.zip")
    change, words = HARM[harm]
    change(tmp_path / "in" / "bad.zip")
    write(tmp_path / "in" / "good", phantom_case)
    bad, good = find_cases(tmp_path / "in")
    assert (bad.name, good.name) == ("bad", "good")
    assert "files-unreadable" not in {found.code for found in good.read().findings}
    with pytest.raises(InputError, match=words) as refusal:
        bad.read()
    assert "bad.zip" in str(refusal.value)
    with pytest.raises(InputError, match=words):
        find_cases(tmp_path / "in" / "bad.zip")[0].read()


def test_images_sent_twice_in_a_damaged_archive_stop_no_other_study(tmp_path: Path, phantom_case: Case):
    """They are compared when cases are looked for."""
    write(tmp_path / "files", phantom_case, study="bad")
    copied = min((tmp_path / "files").iterdir())
    copied.with_name("again").write_bytes(copied.read_bytes())
    pack(tmp_path / "files", tmp_path / "in" / "bad.zip")
    damaged(tmp_path / "in" / "bad.zip")
    write(tmp_path / "in" / "good", phantom_case)
    bad, good = find_cases(tmp_path / "in")
    assert not good.fault
    assert "Bad CRC-32" in bad.fault


def test_files_that_cannot_be_read_beside_a_scan_are_said(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "study", phantom_case)
    whole = min((tmp_path / "study").iterdir()).read_bytes()
    spoiled = {"cut": whole[:160], "bare": whole[132:], "nothing": b""}
    for name, content in spoiled.items():
        (tmp_path / "study" / "more").mkdir(exist_ok=True)
        (tmp_path / "study" / "more" / name).write_bytes(content)
    (case,) = find_cases(tmp_path / "study")
    (found,) = [str(found) for found in case.read().findings if found.code == "files-unreadable"]
    assert "bare seems to be of DICOM and has no preamble" in found
    assert found.endswith("There are 2 more.")
    assert str(tmp_path) not in found


def test_a_folder_of_damaged_files_is_a_case_at_fault(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "in" / "good", phantom_case)
    (tmp_path / "in" / "bad").mkdir()
    (tmp_path / "in" / "marks").mkdir()
    (tmp_path / "in" / "marks" / "done").touch()
    (tmp_path / "in" / "bad" / "cut").write_bytes(min((tmp_path / "in" / "good").iterdir()).read_bytes()[:160])
    bad, good = find_cases(tmp_path / "in")
    assert (bad.name, good.name, bool(good.fault)) == ("bad", "good", False)
    assert "cut is no readable DICOM file" in bad.fault


def test_a_name_does_not_depend_on_what_else_is_there(tmp_path: Path, phantom_case: Case):
    def names(*folder: str) -> list[str]:
        return [case.name for case in find_cases(tmp_path.joinpath(*folder))]

    write(tmp_path / "files", phantom_case)
    write(tmp_path / "in" / "good" / "DICOM" / "S1", phantom_case, study="good")
    assert names("in") == names("in", "good") == ["good"]
    pack(tmp_path / "files", tmp_path / "in" / "pat_A.zip")
    assert names("in") == ["good", "pat_A"]
    assert names("in", "pat_A.zip") == ["pat_A"]
    (tmp_path / "in" / "good").rename(tmp_path / "elsewhere")
    assert names("in") == ["pat_A"]
    pack(tmp_path / "elsewhere" / "DICOM" / "S1", tmp_path / "in" / "cleo" / "export.ZIP")
    assert sorted(names("in")) == ["cleo", "pat_A"]
    (case,) = find_cases(tmp_path / "in" / "pat_A.zip")
    assert case.files == {"ctp": tmp_path / "in" / "pat_A.zip"}


@pytest.mark.parametrize("part", ["DICOM", "study", "IMAGES", "S0001", "SE000000", "series_3"])
def test_a_folder_in_a_study_does_not_name_it(tmp_path: Path, phantom_case: Case, part: str):
    write(tmp_path / "anna" / part, phantom_case)
    assert [case.name for case in find_cases(tmp_path / "anna")] == ["anna"]


def test_two_slabs_are_two_cases(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "study", phantom_case, series="lower")
    write(tmp_path / "study", phantom_case, series="upper", bottom=2 * phantom_case.geometry.spacing[0])
    assert [case.name for case in find_cases(tmp_path / "study")] == ["study-1", "study-2"]


def test_a_study_without_perfusion_is_a_case_at_fault_among_others(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "in" / "anna", phantom_case, study="anna")
    write_scan(tmp_path / "in" / "bert", head_series(frames=1), study="bert")
    good, bad = find_cases(tmp_path / "in")
    assert good.read().identifier == "anna"
    with pytest.raises(InputError, match=r"bert: The study holds no CT perfusion series"):
        bad.read()


def test_a_report_beside_nifti_files_is_no_case(tmp_path: Path):
    write_isles(tmp_path / "case_1")
    write_scan(tmp_path / "case_1", head_series(frames=1))
    (case,) = find_cases(tmp_path)
    assert case.layout == "ISLES 2018"


def test_an_archive_is_a_study(tmp_path: Path, phantom_case: Case):
    hu = write(tmp_path / "files", phantom_case)
    pack(tmp_path / "files", tmp_path / "study.zip")
    (case,) = find_cases(tmp_path / "study.zip")
    found = case.read()
    assert_array_equal(found.geometry.to_source(found.series[3]), hu[3].T)


def test_a_series_may_be_named(tmp_path: Path, phantom_case: Case):
    write(tmp_path / "study", phantom_case)
    write(tmp_path / "study", phantom_case, series="again")
    (case,) = find_cases(tmp_path / "study")
    assert case.fault
    (case,) = find_cases(tmp_path / "study", series=uid("study", "again"))
    source = case.read().source
    assert isinstance(source, DicomSource)
    assert source.series_uids == (uid("study", "again"),)


def test_no_patient_is_named_in_a_log(tmp_path: Path, phantom_case: Case, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        write(tmp_path / "study", phantom_case)
        (case,) = find_cases(tmp_path / "study")
        found = case.read()
    assert "Doe" not in caplog.text
    assert "Doe" not in repr(found.findings) + repr(found.files) + repr(case)


def test_thin_slices_are_averaged_and_said(tmp_path: Path, phantom_case: Case):
    hu = np.repeat(np.rint(phantom_case.series[:, :, ::-1]).astype(np.int16), 8, axis=1)
    dz, dy, dx = phantom_case.geometry.spacing
    write_scan(tmp_path / "study", hu, INTERVAL * np.arange(len(hu)), spacing=(dz / 8, dy, dx))
    found = read_case(tmp_path / "study", PerfusionConfig(least_slice_mm=dz))
    assert found.geometry.slabs == (8, 8)
    assert_allclose(found.series, np.rint(phantom_case.series)[..., ::-1], atol=1e-3)
    assert [one.code for one in found.findings if one.code == "slices-averaged"] == ["slices-averaged"]
    assert found.geometry.to_source(found.series[0] > 0).shape == (*hu.shape[:1:-1], 16)
