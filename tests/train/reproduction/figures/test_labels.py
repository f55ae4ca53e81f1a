"""Names of rows as matplotlib can draw them."""

import pytest

from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import TABLES
from ctpdeploy.train.reproduction.figures.labels import row_label


@pytest.mark.parametrize(
    ("table", "row", "label"),
    [
        (1, "wl2_lh1", r"w-L2 + $\ell_{h1}$"),
        (2, "Fo_Fl_FhStar", "$F_{o}$, $F_{l}$, $F_{h}^{*}$"),
        (3, "unet", "UNet"),
        (3, "slnet_no_se", "SLNet (w/o SE)"),
        (4, "wce_hgd", r"$L_{\mathrm{WCE}}$ + $L_{\mathrm{HGD}}$"),
        (5, "dwi_olh_s", r"$\mathrm{DWI}^{o,l,h}$ (s)"),
        (5, "real_dwi", "Real DWI"),
    ],
)
def test_rows_are_called_as_printed(table: int, row: str, label: str):
    assert row_label(table, row) == label


def test_every_label_can_be_drawn():
    from matplotlib.mathtext import MathTextParser

    for table in TABLES:
        for row in published_table(table).rows:
            MathTextParser("agg").parse(row_label(table, row))
