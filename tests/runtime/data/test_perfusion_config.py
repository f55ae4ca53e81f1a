"""Settings of the maps: the threshold of each method, what is refused, and what is stored."""

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest

from ctpdeploy.config import load, merge
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.data.perfusion_config import THRESHOLDS, PerfusionConfig, stored_perfusion


def test_every_method_has_a_threshold_of_its_own():
    assert set(get_args(get_type_hints(PerfusionConfig)["method"])) == set(THRESHOLDS)
    assert PerfusionConfig(method="osvd").limit == 0.035
    assert PerfusionConfig(method="osvd", threshold=0.05).limit == 0.05


def test_a_change_of_method_alone_takes_its_threshold_along():
    """A share of the largest singular value must not become an oscillation index."""
    changed = load(PerfusionConfig(), overrides=["method=osvd"])
    assert changed.limit == THRESHOLDS["osvd"] != PerfusionConfig().limit


@pytest.mark.parametrize(
    "values", [{"threshold": 0.0}, {"threshold": 1.0}, {"smoothing_fwhm_mm": -1.0}, {"smoothing_fwhm_mm": float("nan")}]
)
def test_numbers_out_of_range_are_refused(values: dict[str, Any]):
    with pytest.raises(UsageError, match=f"'{next(iter(values))}' is .*must lie between"):
        merge(PerfusionConfig(), values)


def test_what_is_stored_does_not_depend_on_later_defaults():
    stated = PerfusionConfig(method="osvd").stated()
    assert None not in dataclasses.asdict(stated).values()
    assert stored_perfusion({"perfusion": dataclasses.asdict(stated)}, "x") == stated
    assert stored_perfusion({}, "x") == PerfusionConfig()
    with pytest.raises(UsageError, match="did you mean 'tmax'"):
        stored_perfusion({"perfusion": {"tmacks": "onset"}}, "x")
