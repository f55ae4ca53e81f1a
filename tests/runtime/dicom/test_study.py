"""Studies: what each series is, and which are taken for CT perfusion."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.dicom_images import DISTANCE, FRAMES, SLICES, Edit, head_series, image, stored, uid, write_scan

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.choice import choose_scans
from ctpdeploy.runtime.dicom.description import describe_study
from ctpdeploy.runtime.dicom.kinds import KINDS
from ctpdeploy.runtime.dicom.study import Study, find_studies


def study(folder: Path) -> Study:
    (found,) = find_studies(sorted(path for path in folder.rglob("*") if path.is_file()))
    return found


def kinds(found: Study) -> dict[str, str]:
    """Kind of each series by its description."""
    return {one.description: verdict.kind for one, verdict in zip(found.series, found.verdicts, strict=True)}


def named(description: str, **elements: object) -> Edit:
    def edit(data: Dataset, *_: int) -> None:
        data.SeriesDescription = description
        for keyword, value in elements.items():
            setattr(data, keyword, value)

    return edit


def write_junk(folder: Path) -> None:
    """What surrounds a CT perfusion series in a study."""
    one, two = head_series(frames=1), head_series(frames=2)
    write_scan(
        folder / "a", one[:, :1], series="scout", edit=named("scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    )
    write_scan(folder / "b", one, series="plain", edit=named("plain head"))
    write_scan(folder / "c", two, series="cta", edit=named("CTA arterial and venous"))
    write_scan(folder / "d", head_series(slices=1), series="tracking", edit=named("bolus"))
    write_scan(folder / "e", one, series="mpr", edit=named("thick", ImageType=["DERIVED", "SECONDARY", "MPR"]))
    write_scan(folder / "f", one, series="map", edit=named("rCBF map", ImageType=["DERIVED", "PRIMARY", "AXIAL"]))

    def colour(data: Dataset, *_: int) -> None:
        named("CBF colour", SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)(data, 0, 0)
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = bytes(data.Rows * data.Columns * 3)

    write_scan(folder / "g", one, series="colour", edit=colour)

    def coronal(data: Dataset, _: int, z: int) -> None:
        named("coronal", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])(data, 0, 0)
        data.ImagePositionPatient = [-108.0, z * DISTANCE, 90.0]

    write_scan(folder / "h", head_series(), series="coronal", edit=coronal)

    def unplaced(data: Dataset, *_: int) -> None:
        named("screens")(data, 0, 0)
        del data.ImagePositionPatient

    write_scan(folder / "i", one, series="screens", edit=unplaced)
    report = image(one[0, 0], (0, 0, 0), "sr", series="dose")
    report.Modality, report.SeriesDescription = "SR", "dose report"
    del report.PixelData, report.Rows
    report.save_as(folder / "dose", enforce_file_format=True)
    magnetic = image(one[0, 0], (0, 0, 0), "mr", series="mr")
    magnetic.Modality, magnetic.SeriesDescription = "MR", "DWI"
    magnetic.save_as(folder / "mr", enforce_file_format=True)
    (folder / "readme.txt").write_text("not an image")
    (folder / "noname").write_bytes(b"neither")


EXPECTED = {
    "scout": "localiser",
    "plain head": "volume",
    "CTA arterial and venous": "phases",
    "bolus": "bolus tracking",
    "thick": "reformatted",
    "rCBF map": "perfusion map",
    "CBF colour": "colour map",
    "coronal": "not axial",
    "screens": "without positions",
    "dose report": "report",
    "DWI": "other modality",
    "CTP": "CT perfusion",
}


def test_every_series_around_a_scan_is_known_for_what_it_is(tmp_path: Path):
    write_scan(tmp_path / "z" / "deep")
    write_junk(tmp_path)
    found = study(tmp_path)
    assert kinds(found) == EXPECTED
    (scan,) = choose_scans(found)
    assert scan.series.description == "CTP"
    assert scan.findings == ()


def test_the_description_of_a_study_says_all_of_it_in_json(tmp_path: Path):
    write_scan(tmp_path)
    write_junk(tmp_path)
    described = json.loads(json.dumps(describe_study(study(tmp_path))))
    assert {one["description"]: one["taken"] for one in described["series"]} == {
        name: name == "CTP" for name in EXPECTED
    }
    assert all(one["because"] for one in described["series"])
    (scan,) = described["scans"]
    assert (scan["phases"], scan["slices"], scan["rows"], scan["columns"]) == (FRAMES, SLICES, 20, 24)
    assert (scan["interval"], scan["duration"], scan["clock"]) == (2.0, 38.0, "AcquisitionTime")
    assert (scan["distance"], scan["thickness"], scan["tilt"]) == (6.0, 6.0, 0.0)
    assert described["fault"] is None
    assert "Doe" not in json.dumps(described)
    assert "4711" not in json.dumps(described)


def test_a_study_in_an_archive_is_the_same(tmp_path: Path):
    write_scan(tmp_path / "files")
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "files").iterdir():
            archive.write(path, f"some/folder/{path.name}")
    (found,) = find_studies([tmp_path / "study.zip"])
    (scan,) = choose_scans(found)
    assert scan.stack.shape == (FRAMES, SLICES, 20, 24)


def test_a_series_a_phase_is_one_scan(tmp_path: Path):
    def phase(data: Dataset, t: int, _: int) -> None:
        data.SeriesInstanceUID, data.SeriesNumber = uid("phase", t), 100 + t

    hu = write_scan(tmp_path, edit=phase)
    found = study(tmp_path)
    assert len(found.series) == 1
    (scan,) = choose_scans(found)
    assert scan.stack.shape == hu.shape
    assert len(scan.series.uids) == FRAMES


def test_a_plain_ct_on_the_same_grid_is_no_phase(tmp_path: Path):
    def phase(data: Dataset, t: int, _: int) -> None:
        data.SeriesInstanceUID, data.SeriesNumber, data.SeriesDescription = uid("phase", t), 100 + t, f"CTP phase {t}"

    hu = write_scan(tmp_path, edit=phase)
    write_scan(tmp_path, head_series(frames=1), np.array([-90.0]), series="plain", edit=named("plain head"))
    (scan,) = choose_scans(study(tmp_path))
    assert scan.stack.shape == hu.shape


def test_few_volumes_are_not_made_a_scan(tmp_path: Path):
    def phase(data: Dataset, t: int, _: int) -> None:
        data.SeriesInstanceUID, data.SeriesNumber = uid("phase", t), 100 + t

    write_scan(tmp_path, head_series(frames=3), edit=phase)
    found = study(tmp_path)
    assert [verdict.kind for verdict in found.verdicts] == ["volume"] * 3
    with pytest.raises(InputError, match=r"no CT perfusion series among its 3 \(3 volume\)"):
        choose_scans(found)


def test_of_two_reconstructions_the_thicker_is_taken_and_that_is_said(tmp_path: Path):
    write_scan(tmp_path, edit=named("thick", SeriesNumber=7))
    thin = named("thin", SliceThickness=1.0, SeriesNumber=6)
    write_scan(tmp_path, series="thin", edit=thin)
    (scan,) = choose_scans(study(tmp_path))
    assert scan.series.description == "thick"
    assert [found.code for found in scan.findings] == ["series-chosen"]
    assert str(scan.findings[0]) == (
        "Series 7 was taken, in slices of 6 mm, and not series 6 of the same scan, of 1 mm."
    )
    (forced,) = choose_scans(study(tmp_path), uid("study", "thin"))
    assert (forced.series.description, forced.findings) == ("thin", ())


def test_two_reconstructions_alike_are_for_the_user_to_choose_from(tmp_path: Path):
    write_scan(tmp_path, edit=named("smooth", SeriesNumber=7))
    write_scan(tmp_path, series="sharp", edit=named("sharp", SeriesNumber=8))
    with pytest.raises(InputError, match=r"series 7 and series 8 show one scan .* --series 1\.2"):
        choose_scans(study(tmp_path))


def test_two_slabs_of_two_series_are_two_scans(tmp_path: Path):
    write_scan(tmp_path, series="lower")
    write_scan(tmp_path, series="upper", bottom=SLICES * DISTANCE)
    lower, upper = choose_scans(study(tmp_path))
    assert lower.stack.heights[0] < upper.stack.heights[0]


def test_two_slabs_of_one_series_are_two_scans_and_that_is_said(tmp_path: Path):
    """Of a lesion across both, neither shows all."""

    def raised(data: Dataset, _: int, z: int) -> None:
        data.ImagePositionPatient = [-108.0, -90.0, (0.0, 4.0, 5.1, 12.1)[z]]

    write_scan(tmp_path, head_series(slices=4), edit=raised)
    lower, upper = choose_scans(study(tmp_path))
    assert (lower.stack.heights, upper.stack.heights) == ((0.0, 4.0), (5.1, 12.1))
    for scan in (lower, upper):
        assert [found.code for found in scan.findings] == ["series-in-slabs"]
        assert str(scan.findings[0]).startswith(
            "The study holds 2 scans or slabs, series 3 with 2 slices every 4 mm from 0 to 4 mm, series 3 with 2 "
            "slices every 7 mm from 5 to 12 mm: each is a case"
        )


def test_images_of_other_slices_in_a_scan_are_said(tmp_path: Path):
    write_scan(tmp_path)
    thick = named("CTP", SliceThickness=12.0)
    write_scan(tmp_path, head_series(frames=1), part="plain", edit=thick, order=lambda _, z: FRAMES * SLICES + z)
    (scan,) = choose_scans(study(tmp_path))
    assert [str(found) for found in scan.findings] == ["Series 3 holds 3 images of other slices; they were left out."]


def test_instances_that_their_numbers_miss_are_said(tmp_path: Path):
    hu = head_series()
    write_scan(tmp_path, hu, order=lambda t, z: t * SLICES + z)
    for number in range(4 * SLICES):  # phases that never came
        (tmp_path / f"ctp{number:05d}").unlink()
    (scan,) = choose_scans(study(tmp_path))
    assert [found.code for found in scan.findings] == ["images-missing"]
    assert "12 of the instances" in str(scan.findings[0])


def test_images_of_two_patients_are_no_series(tmp_path: Path):
    def other(data: Dataset, t: int, _: int) -> None:
        data.PatientID = "4712" if t == 5 else data.PatientID

    write_scan(tmp_path, edit=other)
    found = study(tmp_path)
    assert found.verdicts[0].kind == "unreadable"
    assert "different patient IDs" in found.verdicts[0].because
    assert "471" not in found.verdicts[0].because


@pytest.mark.parametrize(
    ("ids", "names"),
    [(("4711", "4712"), ("Doe", "Doe")), (("", ""), ("Doe^Jane", "Roe^Anna")), (("4711", ""), ("", ""))],
)
@pytest.mark.parametrize("a_phase", [False, True])
def test_images_of_two_patients_are_no_series_whatever_tells_them_apart(
    tmp_path: Path, ids: tuple[str, str], names: tuple[str, str], a_phase: bool
):
    def other(data: Dataset, t: int, _: int) -> None:
        data.PatientID, data.PatientName = ids[t == 5], names[t == 5]
        data.SeriesInstanceUID = uid("phase", t) if a_phase else data.SeriesInstanceUID

    write_scan(tmp_path, edit=other)
    found = study(tmp_path)
    assert [verdict.kind for verdict in found.verdicts] == ["unreadable"]
    assert "different patient IDs, or names" in found.verdicts[0].because
    assert not any(word in found.verdicts[0].because + repr(found) for word in ("4711", "4712", "Doe", "Roe"))


def test_one_patient_may_be_spelt_in_two_ways(tmp_path: Path):
    def spelt(data: Dataset, t: int, _: int) -> None:
        data.PatientID, data.PatientName = "", ("Doe^Jane", "DOE^JANE^^")[t % 2]

    write_scan(tmp_path, edit=spelt)
    assert len(choose_scans(study(tmp_path))) == 1


def test_images_that_do_not_say_how_they_are_stored_are_refused(tmp_path: Path):
    def unsigned(data: Dataset, t: int, z: int) -> None:
        if (t, z) == (3, 1):
            del data.PixelRepresentation

    write_scan(tmp_path, edit=unsigned)
    assert "does not state signed of its pixels" in study(tmp_path).verdicts[0].because


def test_bits_that_contradict_each_other_are_refused(tmp_path: Path):
    """The lowest twelve, or the highest: values differ by a factor of 16."""

    def left(data: Dataset, t: int, z: int) -> None:
        if (t, z) == (3, 1):
            data.BitsStored = 12

    write_scan(tmp_path, edit=left)
    assert "states 12 bits a pixel and bit 15 as the highest" in study(tmp_path).verdicts[0].because


@pytest.mark.parametrize("rows", [0.5, 2])
def test_pixels_of_another_length_than_described_are_refused(tmp_path: Path, rows: float):
    """Half of the rows leave a whole volume, of the upper half of the head."""

    def resized(data: Dataset, _t: int, _z: int) -> None:
        data.Rows = int(data.Rows * rows)

    write_scan(tmp_path, edit=resized)
    assert "bytes of pixels, and its header describes" in study(tmp_path).verdicts[0].because


@pytest.mark.parametrize(
    ("keyword", "value"), [("PixelSpacing", [0, 0]), ("PixelSpacing", [-3, -3]), ("ImagePositionPatient", [1, 2])]
)
def test_a_place_that_is_none_is_said(tmp_path: Path, keyword: str, value: list[float]):
    def nowhere(data: Dataset, t: int, _: int) -> None:
        if t == 4:
            setattr(data, keyword, value)

    write_scan(tmp_path, edit=nowhere)
    assert study(tmp_path).verdicts[0].kind == "without positions"


def test_a_file_of_a_series_without_an_image_is_said(tmp_path: Path):
    def without_rows(data: Dataset, t: int, z: int) -> None:
        if (t, z) == (0, 1):
            del data.Rows

    write_scan(tmp_path, edit=without_rows)
    assert "is of this series and holds no image" in study(tmp_path).verdicts[0].because


def test_images_of_no_rows_are_none(tmp_path: Path):
    def flat(data: Dataset, t: int, z: int) -> None:
        data.Rows = 0 if (t, z) == (3, 1) else data.Rows

    write_scan(tmp_path, edit=flat)
    assert "does not state rows of its pixels" in study(tmp_path).verdicts[0].because


def test_a_series_named_may_be_one_that_looks_like_something_else(tmp_path: Path):
    write_scan(tmp_path, head_series(slices=1), series="tracking", edit=named("bolus"))
    found = study(tmp_path)
    with pytest.raises(InputError, match="1 bolus tracking"):
        choose_scans(found)
    (scan,) = choose_scans(found, uid("study", "tracking"))
    assert scan.stack.shape[1] == 1
    assert choose_scans(found, "3")[0].series is scan.series
    with pytest.raises(InputError, match=rf"holds no series 1\.2\.3; it holds 3 \({scan.series.uids[0]}\)\."):
        choose_scans(found, "1.2.3")


def test_a_number_names_a_series_where_no_other_has_it(tmp_path: Path):
    write_scan(tmp_path)
    write_scan(tmp_path, head_series(frames=1), series="plain", edit=named("plain"))
    write_scan(tmp_path, head_series(), series="slabs", bottom=100.0, edit=named("more", SeriesNumber=4))
    found = study(tmp_path)
    assert [scan.series.number for scan in choose_scans(found, "4")] == ["4"]
    with pytest.raises(InputError, match=r"2 series 3: name one by its UID; they are 3 \([\d.]+\), 3 \([\d.]+\)\."):
        choose_scans(found, "3")


def test_a_series_named_that_is_no_scan_is_told_for_what_it_is(tmp_path: Path):
    write_scan(tmp_path / "z")
    write_junk(tmp_path)
    found = study(tmp_path)
    for one, verdict in zip(found.series, found.verdicts, strict=True):
        if verdict.extent.times < 2 or verdict.extent.unplaced:
            with pytest.raises(InputError, match=f"several points in time but of the kind {verdict.kind} "):
                choose_scans(found, one.uids[0])


def test_a_series_at_fault_is_not_read_when_named(tmp_path: Path):
    write_scan(tmp_path, edit=lambda data, t, _: setattr(data, "PatientID", str(t == 5)))
    with pytest.raises(InputError, match=r"series 3 cannot be read: images of .* have different patient IDs"):
        choose_scans(study(tmp_path), "3")


def test_slabs_of_two_series_name_each_other(tmp_path: Path):
    write_scan(tmp_path, series="lower")
    write_scan(tmp_path, series="upper", bottom=60.0, edit=named("CTP", SeriesNumber=4))
    for scan in choose_scans(study(tmp_path)):
        (found,) = [str(found) for found in scan.findings if found.code == "series-in-slabs"]
        assert "series 3 with 3 slices every 6 mm from 0 to 12 mm, series 4 with 3 slices" in found


def test_a_damaged_file_is_said_and_harms_no_other_series(tmp_path: Path):
    write_scan(tmp_path)
    (tmp_path / "damaged").write_bytes(min(tmp_path.iterdir()).read_bytes()[:160])
    found = study(tmp_path)
    assert len(found.unreadable) == 1
    assert "damaged is no readable DICOM file" in found.unreadable[0]
    assert len(choose_scans(found)) == 1


def test_an_enhanced_file_without_its_frames_is_a_series_at_fault(tmp_path: Path):
    data = image(head_series()[0, 0], (0, 0, 0), "x")
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    data.NumberOfFrames = 4
    stored(data, np.zeros((20, 24)), 1, 0)
    data.save_as(tmp_path / "x", enforce_file_format=True)
    found = study(tmp_path)
    assert found.verdicts[0].kind == "unreadable"
    assert "describes 0 of its 4 frames" in found.verdicts[0].because


def test_the_last_kind_takes_what_no_other_did():
    assert KINDS[-1].name == "CT perfusion"
    assert len({kind.name for kind in KINDS}) == len(KINDS)
