"""Quantities: codes and words of makers."""

import pytest

from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.dicom.quantities import QUANTITIES, names_map, names_result, of_code, of_words

WORDS = {
    "CBF": {"cbf"},
    "rCBF_5.0": {"cbf"},
    "PERFUSION BLOOD FLOW": {"cbf"},
    "Blood-Volume": {"cbv"},
    "mean transit time": {"mtt"},
    "TMAX [s]": {"tmax"},
    "T-max": {"tmax"},
    "T_Max": {"tmax"},
    "Time to Maximum": {"tmax"},
    "TTP": {"ttp"},
    "VPCT TTD": {"ttd"},
    "CBF CBV MTT": {"cbf", "cbv", "mtt"},
    "bolus TMAXIMUM": set(),
    "subcbf": set(),
    "HEAD 5.0": set(),
}
CODES = {
    "113055": "cbf", "126390": "cbf", "113056": "cbv", "126391": "cbv", "113052": "mtt", "113084": "tmax",
    "113069": "ttp", "126397": "relative cbf", "126398": "relative cbv",
}  # fmt: skip


@pytest.mark.parametrize("text", WORDS)
def test_words_name_quantities(text: str):
    assert of_words(text) == WORDS[text]
    assert names_map(text) == bool(WORDS[text])


def test_codes_name_quantities():
    assert {code: quantity.name for code in CODES if (quantity := of_code(code))} == CODES
    assert {code for quantity in QUANTITIES for code in quantity.codes} == set(CODES)
    assert of_code("113057") is None


def test_networks_take_four():
    assert tuple(quantity.name for quantity in QUANTITIES if quantity.unit) == MAP_NAMES
    assert all(bool(quantity.because) != bool(quantity.unit) for quantity in QUANTITIES)


@pytest.mark.parametrize(
    ("text", "result"),
    [("Tmax > 6 s", True), ("MISMATCH", True), ("rCBF<30% mask", True), ("Tmax", False), ("unmasked", False)],
)
def test_what_was_made_of_maps_is_none(text: str, result: bool):
    assert names_result(text) == result
