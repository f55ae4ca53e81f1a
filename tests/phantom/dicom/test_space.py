"""Where images lie."""

import numpy as np
import pytest
from support.studies import turned_affine

from ctpdeploy.phantom.dicom.space import Space, tilted

AXIAL = np.diag([-0.5, -0.7, 5.0, 1.0])


def test_an_axial_stack_as_scanners_write_it():
    space = Space(affine=AXIAL)
    assert space.orientation.tolist() == [1, 0, 0, 0, 1, 0]
    assert space.spacing == (0.7, 0.5)
    assert space.position(2).tolist() == [0, 0, 10]
    assert space.distance == 5
    assert space.gantry_tilt == 0


@pytest.mark.parametrize("affine", [AXIAL, turned_affine()], ids=["axial", "turned"])
def test_a_tilted_gantry_turns_the_images_and_not_the_way_of_the_table(affine: np.ndarray):
    shape = (6, 40, 30)
    straight, space = Space(affine=affine), Space(affine=tilted(affine, 15.0, shape))
    assert abs(space.gantry_tilt) == pytest.approx(15.0)
    assert np.degrees(np.arccos(space.normal @ straight.normal)) == pytest.approx(15.0)
    np.testing.assert_array_equal(space.affine[:3, 2], affine[:3, 2])
    np.testing.assert_allclose(space.spacing, straight.spacing)
    assert space.distance == pytest.approx(straight.distance * np.cos(np.radians(15.0)))
    np.testing.assert_allclose(space.orientation[:3], straight.orientation[:3])
    middle = (14.5, 19.5, 2.5, 1.0)
    np.testing.assert_allclose(space.affine @ middle, affine @ middle)
    assert Space(affine=tilted(affine, -15.0, shape)).gantry_tilt == pytest.approx(-space.gantry_tilt)


def test_finer_slices_fill_the_place_of_those_they_are_cut_of():
    fine = Space(affine=AXIAL).finer(4)
    assert [fine.position(k)[2] for k in range(4)] == [-1.875, -0.625, 0.625, 1.875]


def test_slices_from_one_on_keep_their_places():
    space = Space(affine=turned_affine())
    np.testing.assert_allclose(space.from_slice(3).position(1), space.position(4))
