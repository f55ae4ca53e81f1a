"""Paired differences: intervals that cover, patients drawn whole, p-values beside brute force and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ctpdeploy.train.reproduction.paired_difference import holm, paired_difference


def names(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def drawn(rng: np.random.Generator, *, effect: float = 0.0, seeds: int = 5, patients: int = 40) -> np.ndarray:
    return effect + rng.normal(0, 0.1, patients) + rng.normal(0, 0.05, (seeds, patients))


def test_means_are_plain():
    differences = drawn(np.random.default_rng(0), effect=0.03)
    found = paired_difference(differences, names(40))
    assert found.mean == pytest.approx(differences.mean())
    assert found.by_seed == pytest.approx(tuple(differences.mean(axis=1)))
    assert found.low < found.mean < found.high
    assert found.patients == 40
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(differences.mean(axis=0)).pvalue)
    assert paired_difference(differences, names(40)) == found, "the same draws"


def test_the_interval_is_that_of_draws_one_by_one():
    differences = drawn(np.random.default_rng(1), seeds=3, patients=12)
    differences[2] += 0.2  # a seed of its own mind
    people = ["a", "a", "a", "b", "c", "d", "e", "f", "g", "h", "h", "i"]
    scans = {name: [i for i, who in enumerate(people) if who == name] for name in sorted(set(people))}
    rng, means = np.random.default_rng(7), []
    for _ in range(4000):
        seeds = rng.integers(3, size=3)
        cases = [scan for name in rng.choice(list(scans), size=len(scans)) for scan in scans[name]]
        means.append(differences[np.ix_(seeds, cases)].mean())
    found = paired_difference(differences, people)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.008)
    assert found.patients == 9


def test_copies_of_a_scan_make_nothing_surer():
    differences = drawn(np.random.default_rng(2), effect=0.03, patients=20)
    once = paired_difference(differences, names(20))
    copied = paired_difference(np.repeat(differences, 3, axis=1), [name for name in names(20) for _ in range(3)])
    assert (copied.low, copied.high, copied.p) == pytest.approx((once.low, once.high, once.p))
    assert copied.wilcoxon_p == pytest.approx(once.wilcoxon_p)
    believed = paired_difference(np.repeat(differences, 3, axis=1), names(60))
    assert believed.high - believed.low < 0.75 * (once.high - once.low), "as if they were patients"


def test_without_an_effect_few_p_are_small():
    """Under no effect 5 % of p are under 0.05; that of 300 repetitions 95 % lie under 8 %."""
    rng = np.random.default_rng(3)
    p = [paired_difference(drawn(rng), names(40)).p for _ in range(300)]
    assert np.mean(np.array(p) <= 0.05) < 0.08


def test_an_effect_is_found_and_has_its_sign():
    rng = np.random.default_rng(4)
    found = paired_difference(drawn(rng, effect=0.1), names(40))
    assert found.low > 0
    assert found.p < 0.01
    assert found.wilcoxon_p < 0.01
    other = paired_difference(-drawn(np.random.default_rng(4), effect=0.1), names(40))
    assert (other.low, other.high) == pytest.approx((-found.high, -found.low))
    assert other.p == found.p


def test_one_seed_one_patient_and_no_difference():
    nothing = paired_difference(np.zeros((2, 6)), names(6))
    assert (nothing.mean, nothing.low, nothing.high, nothing.p, nothing.wilcoxon_p) == (0.0, 0.0, 0.0, 1.0, 1.0)
    assert paired_difference(np.full((1, 1), 0.2), ["a"]).low == pytest.approx(0.2)
    for wrong, who in ((np.zeros((0, 3)), names(3)), (np.zeros((1, 3)), names(2)), (np.full((1, 1), np.nan), ["a"])):
        with pytest.raises(ValueError, match="empty or not finite"):
            paired_difference(wrong, who)


@given(st.lists(st.floats(0.0001, 1.0), min_size=1, max_size=8))
def test_holm_rejects_as_holm_says(p_values: list[float]):
    """The k-th smallest is rejected as long as it and all before are at most level / (m - k + 1)."""
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected, order = set(), np.argsort(p_values, kind="stable")
        for k, place in enumerate(order):
            if p_values[place] * (len(p_values) - k) > level:
                break
            rejected.add(int(place))
        assert {place for place, p in enumerate(adjusted) if p <= level} == rejected


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()
