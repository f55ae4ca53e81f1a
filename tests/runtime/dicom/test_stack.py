"""Stacks: what planes of a series make, and what they do not."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset
from support.dicom_images import DISTANCE, FRAMES, SLICES, SPACING, clock, head_series, uid, write_scan

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.header import Header, read_header
from ctpdeploy.runtime.dicom.plane import classic_plane
from ctpdeploy.runtime.dicom.stack import Stack, find_stacks
from ctpdeploy.runtime.dicom.voxels import read_voxels


def stacks(folder: Path) -> list[Stack]:
    headers = [read_header(path) for path in sorted(folder.iterdir())]
    return find_stacks([classic_plane(header) for header in headers if isinstance(header, Header)], "series 3")


def stack(folder: Path) -> Stack:
    (found,) = stacks(folder)
    return found


def test_a_scan_comes_back_whatever_order_its_files_have(tmp_path: Path):
    hu = write_scan(tmp_path)
    found = stack(tmp_path)
    assert found.shape == hu.shape
    assert_array_equal(read_voxels(found), hu)
    assert_allclose(found.times, np.arange(FRAMES) * 2.0)
    assert (found.slice_times, found.clock.name, found.thickness) == (None, "AcquisitionTime", DISTANCE)
    # LPS to RAS
    expected = np.diag([-SPACING[1], -SPACING[0], DISTANCE, 1.0])
    expected[:3, 3] = (108.0, 90.0, 0.0)
    assert_allclose(found.affine, expected)


@pytest.mark.parametrize("degrees", [-25.0, 7.5, 18.5])
def test_a_tilted_gantry_shears_the_stack(tmp_path: Path, degrees: float):
    """Rows lean by the tilt while the table moves along z."""
    lean = np.radians(degrees)

    def tilt(data: Dataset, *_: int) -> None:
        data.ImageOrientationPatient = [1, 0, 0, 0, round(float(np.cos(lean)), 7), round(float(-np.sin(lean)), 7)]

    hu = write_scan(tmp_path, edit=tilt)
    found = stack(tmp_path)
    assert_array_equal(read_voxels(found), hu)
    corner = found.affine @ np.array([3, 5, 2, 1.0])
    expected = np.array([-108 + 3 * 9, -90 + 5 * 9 * np.cos(lean), 2 * DISTANCE - 5 * 9 * np.sin(lean)])
    assert_allclose(corner[:3], expected * (-1, -1, 1), atol=1e-4)


@pytest.mark.parametrize(
    "normal", [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, -1, 0), (-1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0)]
)
def test_slices_follow_the_normal_of_the_images(tmp_path: Path, normal: tuple[int, ...]):
    def turn(data: Dataset, *_: int) -> None:
        data.ImageOrientationPatient = list(normal)

    hu = write_scan(tmp_path, edit=turn)
    found = stack(tmp_path)
    upward = np.cross(normal[:3], normal[3:])[2] > 0
    assert_array_equal(read_voxels(found), hu if upward else hu[:, ::-1])
    assert np.linalg.det(found.affine[:3, :3]) > 0
    assert_allclose(found.affine[2, 2], DISTANCE if upward else -DISTANCE)


def test_slabs_taken_in_turns_keep_times_of_their_own(tmp_path: Path):
    hu = head_series(slices=4)
    times = np.arange(FRAMES)[:, None] * 3.0 + np.array([0.0, 0.0, 1.5, 1.5])
    write_scan(tmp_path, hu, times)
    found = stack(tmp_path)
    assert_array_equal(read_voxels(found), hu)
    assert found.slice_times is not None
    assert_allclose(found.slice_times, times)
    assert_allclose(found.times, np.arange(FRAMES) * 3.0 + 0.75)


def test_a_second_slab_and_a_second_thickness_are_stacks_of_their_own(tmp_path: Path):
    write_scan(tmp_path)
    upper = write_scan(tmp_path, head_series() + 1, bottom=71.5, part="upper", order=lambda t, z: 1000 + t * SLICES + z)
    both = stacks(tmp_path)
    assert [one.shape for one in both] == [(FRAMES, SLICES, 20, 24)] * 2
    assert_array_equal(read_voxels(both[1]), upper)

    def thick(data: Dataset, *_: int) -> None:
        data.SliceThickness = 10.0

    write_scan(tmp_path, bottom=18.0, part="thick", edit=thick, order=lambda t, z: 2000 + t * SLICES + z)
    assert sorted(one.thickness for one in stacks(tmp_path)) == [6.0, 6.0, 10.0]


def write_uneven(folder: Path, heights: list[float]) -> np.ndarray:
    """A scan whose slices have these heights, of one thickness."""

    def raised(data: Dataset, _: int, z: int) -> None:
        data.ImagePositionPatient = [-108.0, -90.0, heights[z]]

    return write_scan(folder, head_series(slices=len(heights)), edit=raised)


def test_slices_of_three_distances_are_slabs_that_meet(tmp_path: Path):
    """As skull base, what the table moved for, and brain: nothing is resampled, each slice stays where it was."""
    hu = write_uneven(tmp_path, [0.0, 4.0, 8.0, 9.1, 16.1, 23.1])
    lower, upper = stacks(tmp_path)
    assert_array_equal(read_voxels(lower), hu[:, :3])
    assert_array_equal(read_voxels(upper), hu[:, 3:])
    assert [one.distance for one in (lower, upper)] == pytest.approx([4.0, 7.0])
    assert [one.heights for one in (lower, upper)] == [(0.0, 8.0), (9.1, 23.1)]


def test_slices_at_no_even_distance_are_refused(tmp_path: Path):
    write_uneven(tmp_path, [0.0, 5.0, 11.0, 16.0, 22.0, 27.0, 33.0, 38.0, 44.0, 49.0])
    with pytest.raises(InputError, match=r"series 3 has slices at uneven distances, 5\.00 to 6\.00 mm"):
        stacks(tmp_path)


def test_a_second_injection_is_a_stack_of_its_own(tmp_path: Path):
    """The table went on, and the slabs meet: between the slices there is no gap, between the times there is."""
    write_scan(tmp_path)
    later = 600.0 + np.arange(FRAMES) * 2.0
    write_scan(tmp_path, None, later, bottom=SLICES * DISTANCE, part="later", order=lambda t, z: 1000 + t * SLICES + z)
    assert [one.shape[1] for one in stacks(tmp_path)] == [SLICES, SLICES]


def test_pixels_stored_in_two_ways_are_refused(tmp_path: Path):
    def fewer(data: Dataset, t: int, _: int) -> None:
        data.BitsStored, data.HighBit = (12, 11) if t == 5 else (16, 15)

    write_scan(tmp_path, edit=fewer)
    with pytest.raises(InputError, match="stores its pixels in 2 ways"):
        stacks(tmp_path)


def test_pixels_that_are_not_square_are_doubted(tmp_path: Path):
    write_scan(tmp_path, spacing=(6.0, 9.0, 7.0))
    assert [one.code for one in stack(tmp_path).findings] == ["pixels-not-square"]


def test_a_rescale_of_some_images_alone_is_doubted(tmp_path: Path):
    def other(data: Dataset, t: int, _: int) -> None:
        data.RescaleIntercept = -24 if t == 5 else 0

    write_scan(tmp_path, edit=other)
    assert [one.code for one in stack(tmp_path).findings] == ["rescale-varies"]


def test_a_scan_that_pauses_is_not_one(tmp_path: Path):
    """As where a plain CT, or a second injection, is among the phases."""
    write_scan(tmp_path, None, np.append(0.0, 300.0 + np.arange(FRAMES - 1)))
    with pytest.raises(InputError, match="pauses for 300 s behind 1 of 20 phases"):
        stacks(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    write_scan(tmp_path, None, np.append(np.arange(FRAMES - 1), 50.0))
    assert len(stacks(tmp_path)) == 1


def leave_out(*places: tuple[int, int]):
    def edit(_: Dataset, t: int, z: int) -> None:
        if (t, z) in places:
            raise StopIteration

    return edit


def test_a_last_phase_that_is_not_whole_is_said_and_left_out(tmp_path: Path):
    hu = write_scan(tmp_path, edit=leave_out((FRAMES - 1, 1)))
    found = stack(tmp_path)
    assert_array_equal(read_voxels(found), hu[:-1])
    assert [(one.code, one.sentence) for one in found.findings] == [
        ("phase-dropped", "The last phase lacks 1 of 3 slices, the first of them at 6.0 mm: it is left out.")
    ]


@pytest.mark.parametrize("t", [0, 5, FRAMES - 2])
def test_a_lost_image_is_named_by_its_place_and_time(tmp_path: Path, t: int):
    write_scan(tmp_path, edit=leave_out((t, 2)))
    with pytest.raises(InputError, match=rf"series 3: the image at 12\.0 mm of {2 * t}\.0 s is missing"):
        stacks(tmp_path)


def test_a_slice_that_is_missing_at_all_times_is_said(tmp_path: Path):
    write_scan(tmp_path, head_series(slices=6), edit=leave_out(*((t, 2) for t in range(FRAMES))))
    with pytest.raises(InputError, match=r"lacks 1 slices between 6\.0 and 18\.0 mm at all times"):
        stacks(tmp_path)


def test_copies_are_read_once(tmp_path: Path):
    hu = write_scan(tmp_path)
    first = min(tmp_path.iterdir())
    (tmp_path / "copy").write_bytes(first.read_bytes())
    found = stack(tmp_path)
    assert_array_equal(read_voxels(found), hu)
    assert [one.code for one in found.findings] == ["images-twice"]


def test_two_images_of_one_uid_are_refused(tmp_path: Path):
    write_scan(tmp_path)
    content = min(tmp_path.iterdir()).read_bytes()
    (tmp_path / "copy").write_bytes(content[:-2] + b"\x01\x02")
    with pytest.raises(InputError, match="two different images of one SOP Instance UID"):
        stacks(tmp_path)


def test_two_images_at_one_place_and_time_are_refused(tmp_path: Path):
    write_scan(tmp_path)

    def again(data: Dataset, t: int, z: int) -> None:
        if (t, z) != (4, 1):
            raise StopIteration
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid("again")

    write_scan(tmp_path, edit=again, order=lambda *_: 5000)
    with pytest.raises(InputError, match=r"two different images at z = 6\.0 mm with one AcquisitionTime"):
        stacks(tmp_path)


def without_times(data: Dataset, *_: int) -> None:
    del data.AcquisitionDate, data.AcquisitionTime


def test_images_without_a_time_are_refused(tmp_path: Path):
    write_scan(tmp_path, edit=without_times)
    with pytest.raises(InputError, match="does not state when its images were taken"):
        stacks(tmp_path)


def test_two_frames_of_reference_are_refused(tmp_path: Path):
    def other(data: Dataset, t: int, _: int) -> None:
        data.FrameOfReferenceUID = uid("space", t > 4)

    write_scan(tmp_path, edit=other)
    with pytest.raises(InputError, match="2 frames of reference"):
        stacks(tmp_path)


def test_slices_that_move_sideways_are_refused(tmp_path: Path):
    def aside(data: Dataset, _: int, z: int) -> None:
        data.ImagePositionPatient = [-108.0 + 5.0 * (z == 1), -90.0, z * DISTANCE]

    write_scan(tmp_path, edit=aside)
    with pytest.raises(InputError, match="do not lie one behind the other"):
        stacks(tmp_path)


def test_directions_that_are_none_are_refused(tmp_path: Path):
    def skew(data: Dataset, *_: int) -> None:
        data.ImageOrientationPatient = [1, 0, 0, 0.3, 1, 0]

    write_scan(tmp_path, edit=skew)
    with pytest.raises(InputError, match="directions that are none of an image"):
        stacks(tmp_path)


CLOCKS = {
    "AcquisitionDateTime": lambda data, s: setattr(data, "AcquisitionDateTime", f"20260102{clock(s)}"),
    "AcquisitionTime": lambda data, s: setattr(data, "AcquisitionTime", clock(s)),
    "ContentTime": lambda data, s: setattr(data, "ContentTime", clock(s)),
    "TriggerTime": lambda data, s: setattr(data, "TriggerTime", f"{1000 * s:.1f}"),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_one_scan_by_any_clock(tmp_path: Path, name: str):
    def by(data: Dataset, t: int, _: int) -> None:
        without_times(data)
        CLOCKS[name](data, 1.25 * t + 4.0)

    write_scan(tmp_path, edit=by)
    found = stack(tmp_path)
    assert found.clock.name == name
    assert_allclose(found.times, 1.25 * np.arange(FRAMES), atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_patient_who_moved_by_the_headers_is_refused(tmp_path: Path, axis: int):
    """The mean of positions is nobody's: from the eighth phase on the images lie half a pixel aside."""

    def moved(data: Dataset, t: int, _: int) -> None:
        position = [float(x) for x in data.ImagePositionPatient]
        position[axis] += 4.5 if t >= 7 else 0.0
        data.ImagePositionPatient = position

    write_scan(tmp_path, edit=moved)
    with pytest.raises(InputError, match=r"states other positions from 14\.0 s on, by up to 4\.5 mm .* moved: send a"):
        stacks(tmp_path)


def test_positions_that_drift_along_the_table_are_refused(tmp_path: Path):
    """Each step is too small to make a place of its own."""

    def drifting(data: Dataset, t: int, _: int) -> None:
        x, y, z = (float(x) for x in data.ImagePositionPatient)
        data.ImagePositionPatient = [x, y, round(z + 0.09 * t, 2)]

    write_scan(tmp_path, edit=drifting)
    with pytest.raises(InputError, match=r"from 6\.0 s on, by up to 1\.7 mm"):
        stacks(tmp_path)


def test_positions_that_are_rounded_are_one(tmp_path: Path):
    def rounded(data: Dataset, t: int, _: int) -> None:
        x, y, z = (float(x) for x in data.ImagePositionPatient)
        data.ImagePositionPatient = [x + 0.05 * (t % 2), y - 0.05 * (t % 3), z]

    write_scan(tmp_path, edit=rounded)
    assert stack(tmp_path).shape[0] == FRAMES
