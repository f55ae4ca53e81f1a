"""The fonts that are shipped hold the letters of names and the signs of the field, and may be shipped."""

from importlib.resources import files

import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.report.fonts import load_font

SIGNS = "éèüößñçÅøłščžőığ ²³µμ±×·−≤≥≈°σΔ‰ …–—„“”’ →�"


@pytest.mark.parametrize("bold", [False, True])
def test_every_sign_has_a_shape_of_its_own(bold: bool):
    font = load_font(20.0, bold=bold)
    missing = bytes(font.getmask("\u4e00"))  # a character that the font lacks
    for sign in SIGNS.replace(" ", ""):
        assert bytes(font.getmask(sign)) != missing, sign


@pytest.mark.parametrize("bold", [False, True])
def test_a_font_keeps_its_copyright_and_no_name_that_its_licence_reserves(bold: bool):
    font = load_font(20.0, bold=bold)
    assert font.getname() == ("DejaVu Sans", "Bold" if bold else "Book")
    assert "Copyright (c) 2003 by Bitstream, Inc.".encode("utf-16-be") in font.font_bytes
    licence = files("ctpdeploy.runtime.report").joinpath("assets", "LICENSE-DejaVu").read_text(encoding="utf-8")
    assert licence.startswith("Fonts are (c) Bitstream")


def test_pillow_without_freetype_ends_in_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise ImportError("The _imagingft C module is not installed")

    monkeypatch.setattr("PIL.ImageFont.truetype", fail)
    with pytest.raises(BackendError, match=r"without FreeType.*pip install"):
        load_font(123.0)
