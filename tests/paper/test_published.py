"""The figures that the paper prints."""

import pytest

from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import TABLES


@pytest.mark.parametrize(
    ("one", "other"), [((1, "wl2_lh1"), (2, "Fo")), ((3, "slnet"), (4, "ce")), ((4, "wce_hgd"), (5, "Fo"))]
)
def test_rows_that_share_a_system_print_the_same_figures(one: tuple[int, str], other: tuple[int, str]) -> None:
    (table, row), (other_table, other_row) = one, other
    assert TABLES[table][row] == TABLES[other_table][other_row]
    a, b = (published_table(t).rows[r].cells for t, r in (one, other))
    shared = [column for column in a if column in b]
    assert len(shared) >= 5
    assert all(a[column] == b[column] for column in shared)


def test_published_values_are_the_printed_ones() -> None:
    """Cells picked by hand from the printed tables."""
    dice = published_table(5).rows["dwi_olh"].cells["dice_pct"]
    assert dice is not None
    assert dice.mean == 62.11
    parameters = published_table(3).rows["resunet"].cells["params_m"]
    assert parameters is not None
    assert (parameters.mean, parameters.std) == (81.91, None)
    assert published_table(2).rows["real_dwi"].cells["global_ssim"] is None
