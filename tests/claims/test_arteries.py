"""Arterial inputs of patients with narrow arteries: each rule on the same series, refusals counted."""

from pathlib import Path

from arteries import OURS, Found, measure, scan, summary

from ctpdeploy.phantom import vessels
from ctpdeploy.runtime.perfusion import arteries as product


def test_rules_are_measured_on_the_same_patient():
    earlier = Path(product.__file__)
    ours, beside = measure((2, 0), seed=1, size=64, radius=1.1, beside=earlier)
    assert (ours.rule, ours.slices) == (OURS, 2)
    assert (ours.error_s, ours.peak_hu, ours.findings) == (beside.error_s, beside.peak_hu, beside.findings)


def test_arteries_are_narrow_only_while_a_patient_is_made():
    before = vessels.VESSELS
    wide, narrow = (scan((0,), slices=2, size=64, radius=radius) for radius in (1.1, 0.3))
    assert vessels.VESSELS is before
    assert wide.series.max(axis=0).mean() > narrow.series.max(axis=0).mean()


def test_a_refusal_is_neither_near_nor_late():
    found = [
        Found(rule=OURS, slices=2, error_s=-1.0, peak_hu=60.0),
        Found(rule=OURS, slices=2, error_s=4.0, peak_hu=80.0, findings=("no-vein",)),
        Found(rule=OURS, slices=2),
    ]
    counts = summary(found)
    assert (counts["patients"], counts["within_1_s"], counts["late_4_s"], counts["refused"]) == (3, 1, 1, 1)
    assert (counts["worst_s"], counts["findings"]) == (4.0, {"no-vein": 1})
    assert summary(found[2:])["peak_hu"] is None
