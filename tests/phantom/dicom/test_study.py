"""Studies read back by a second reader: every pixel at its place and time, whatever the layout."""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.dicom_studies import frames, grid, objects
from support.studies import COLUMNS, PHASES, ROWS, SLICES, random_maps, random_series, turned_affine, write_random_study

import ctpdeploy.phantom.dicom
from ctpdeploy.errors import InputError, MissingPackageError, UnknownKeyError
from ctpdeploy.phantom.dicom import LAYOUTS, StudyTruth, write_study
from ctpdeploy.phantom.dicom.pixels import Pixels

STRAIGHT = turned_affine()
SLANTED = STRAIGHT + np.pad([[0, 0, 0], [0, 0, 1.1], [0, 0, 0]], (0, 1))
FLIPPED = STRAIGHT * (1, -1, 1, 1)
TIMES = np.arange(PHASES) * 1.5


def test_public_names():
    assert sorted(ctpdeploy.phantom.dicom.__all__) == ctpdeploy.phantom.dicom.__all__
    assert all(hasattr(ctpdeploy.phantom.dicom, name) for name in ctpdeploy.phantom.dicom.__all__)


def compare(truth: StudyTruth) -> None:
    """Hold a study against what it was written from."""
    found = objects(truth.files)
    for scan in truth.scans:
        hu, seconds, padded = grid(frames(found, scan.series_uids, scan.clock), scan.affine)
        expected = random_series()[np.ix_(scan.frames, scan.slices)]
        inside = np.ones(hu.shape[2:], bool) if scan.field is None else scan.field
        assert hu.shape == expected.shape
        assert np.array_equal(hu[..., inside], expected[..., inside])
        assert np.array_equal(padded, np.broadcast_to(~inside, hu.shape))
        times = scan.times[:, None] if scan.slice_times is None else scan.slice_times
        np.testing.assert_allclose(seconds - seconds.min(), np.broadcast_to(times, seconds.shape), atol=1.5e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_study_holds_every_pixel_at_its_place_and_time(layout: str, tmp_path: Path):
    compare(write_random_study(tmp_path / "study", layout))


@pytest.mark.parametrize("affine", [SLANTED, FLIPPED], ids=["slanted", "flipped"])
@pytest.mark.parametrize("layout", ["one-series", "enhanced"])
def test_slices_lie_where_the_affine_says(layout: str, affine: np.ndarray, tmp_path: Path):
    truth = write_random_study(tmp_path / "study", layout, affine)
    np.testing.assert_array_equal(truth.scans[0].affine, affine)
    compare(truth)


def test_times_of_slices_that_are_given_are_those_written(tmp_path: Path):
    own = TIMES[:, None] + np.random.default_rng(1).uniform(0, 1, (PHASES, SLICES))
    truth = write_random_study(tmp_path / "study", "ge-cine", slice_times=own)
    np.testing.assert_allclose(truth.scans[0].slice_times, own - own.min(), atol=1e-6)
    compare(truth)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_arguments_give_the_same_bytes_and_another_name_other_uids(tmp_path: Path):
    one, same, other = (
        write_random_study(tmp_path / word, "canon-volumes", junk=True, maps=random_maps(), **more)
        for word, more in (("one", {}), ("same", {}), ("other", {"name": "PHANTOM^TWO"}))
    )
    assert digests(one.folder) == digests(same.folder)
    uids = [{data.SOPInstanceUID for data in objects(truth.files)} for truth in (one, other)]
    assert len(uids[0]) == len(one.files) == len(uids[1])
    assert not uids[0] & uids[1]
    assert one.study_uid != other.study_uid


@pytest.mark.parametrize(
    "more",
    [
        {"seed": 8},
        {"junk": False},
        {"series": random_series() + np.int16(1)},
        {"affine": FLIPPED},
        {"times": TIMES * 2},
        {"slice_times": np.tile(TIMES[:, None], (1, SLICES))},
        {"maps": {name: values + 1 for name, values in random_maps().items()}},
        {"layout": replace(LAYOUTS["one-series"], maps=LAYOUTS["siemens-maps"].maps)},
    ],
)
def test_whatever_differs_in_a_study_its_uids_do(tmp_path: Path, more: dict):
    usual = {
        "series": random_series(), "times": TIMES, "affine": STRAIGHT, "layout": "one-series", "maps": random_maps()
    }  # fmt: skip
    one, other = (write_study(tmp_path / word, **{**usual, **own}) for word, own in (("one", {}), ("other", more)))
    uids = [{data.SOPInstanceUID for data in objects(truth.files)} for truth in (one, other)]
    assert not uids[0] & uids[1]
    assert one.study_uid != other.study_uid


def test_a_study_owns_up_to_what_it_is(tmp_path: Path):
    truth = write_random_study(tmp_path / "study", "series-a-phase", junk=True, maps=random_maps())
    for data in objects(truth.files):
        assert data.PatientName == "PHANTOM^ONE"
        assert data.StudyDescription.startswith("PHANTOM. Research use only")
        assert data.SeriesDescription.startswith("PHANTOM ")
        assert data.PatientIdentityRemoved == "YES"
        assert data.StudyInstanceUID == truth.study_uid


def test_phases_are_series_and_slabs_are_scans_one_above_the_other(tmp_path: Path):
    (scan,) = write_random_study(tmp_path / "phases", "series-a-phase").scans
    assert len(set(scan.series_uids)) == PHASES
    lower, upper = write_random_study(tmp_path / "slabs", "two-slabs").scans
    assert (lower.slices, upper.slices) == ((0, 1), (2, 3))
    assert lower.series_uids != upper.series_uids
    downwards = STRAIGHT * (1, 1, -1, 1)
    lower, upper = write_random_study(tmp_path / "downwards", "two-slabs", downwards).scans
    assert (lower.slices, upper.slices) == ((2, 3), (0, 1))


def test_an_uneven_scan_is_sparse_after_a_while(tmp_path: Path):
    (scan,) = write_random_study(tmp_path / "study", "uneven").scans
    assert scan.times.tolist() == [*range(0, 21, 2), 26.0]


def test_copies_are_files_of_their_own_with_the_same_bytes(tmp_path: Path):
    truth = write_random_study(tmp_path / "study", "copies")
    contents = [path.read_bytes() for path in truth.files]
    assert len(contents) - len(set(contents)) == LAYOUTS["copies"].copies
    assert len(set(truth.files)) == len(contents)


def test_a_layout_may_be_made_of_another(tmp_path: Path):
    layout = replace(LAYOUTS["enhanced"], syntax="jpeg-ls", first_index=3)
    truth = write_study(tmp_path / "study", random_series(), TIMES, STRAIGHT, layout, junk=False)
    (data,) = objects(truth.files)
    assert data.file_meta.TransferSyntaxUID.is_compressed
    assert data.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].TemporalPositionIndex >= 3
    compare(truth)


@pytest.mark.parametrize(
    ("layout", "changes", "error", "message"),
    [
        ("one-serie", {}, UnknownKeyError, "did you mean 'one-series'"),
        ("one-series", {"series": random_series().astype(float)}, InputError, "type float64"),
        ("one-series", {"series": random_series()[:, :1]}, InputError, "at least two of each"),
        ("one-series", {"times": TIMES[:-1]}, InputError, r"give \(14,\) that ascend"),
        ("one-series", {"times": TIMES[::-1]}, InputError, "that ascend"),
        ("one-series", {"times": np.where(TIMES > 19, np.inf, TIMES)}, InputError, "that ascend"),
        ("one-series", {"slice_times": TIMES[:, None]}, InputError, r"give \(14, 4\)"),
        ("one-series", {"affine": STRAIGHT + np.eye(4, k=1) * 0.2}, InputError, "right angles"),
        ("one-series", {"affine": np.full((4, 4), np.nan)}, InputError, "right angles"),
        ("one-series", {"affine": np.eye(3)}, InputError, "right angles"),
        ("one-series", {"maps": {"ttp": np.zeros((SLICES, ROWS, COLUMNS))}}, UnknownKeyError, "maps of a study"),
        ("one-series", {"maps": {"cbf": np.zeros((SLICES, ROWS, 3))}}, InputError, "map cbf has shape"),
        (
            "siemens-spiral",
            {"series": random_series() - np.int16(1)},
            InputError,
            "HU from -1025 to 2046 cannot be stored",
        ),
        ("series-a-phase", {"layout": replace(LAYOUTS["ge-cine"], pixels=Pixels(slope=2.0))}, InputError, "slope 2"),
        ("temporal-position", {"times": TIMES**1.1}, InputError, "unequal intervals"),
        ("two-slabs", {"series": random_series()[:, :3]}, InputError, "2 slabs need 4 slices"),
    ],
)
def test_what_cannot_be_a_study_is_refused(
    layout: str, changes: dict, error: type[Exception], message: str, tmp_path: Path
):
    arguments = {"series": random_series(), "times": TIMES, "affine": STRAIGHT, **changes}
    with pytest.raises(error, match=message):
        write_study(tmp_path / "study", **{"layout": layout, **arguments})
    assert not list(tmp_path.rglob("*")), "refused before anything was written"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "something").touch()
    with pytest.raises(InputError, match="is not empty"):
        write_random_study(tmp_path, "one-series")
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


def test_without_pydicom_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra dicom"):
        write_random_study(tmp_path / "study", "one-series")
