"""Two groups of patients compared: a difference in pairs is seen, their random fields are not taken for one."""

import numpy as np
from phantom_draws import compare, family, pairs


def group(seed: int, scale: float = 1.0) -> list[dict[str, float]]:
    """Lesions of 60 plans, each with a tenth of noise of this seed."""
    plans = np.random.default_rng(0).lognormal(3.0, 1.2, 60)
    noise = np.random.default_rng(seed).lognormal(0.0, 0.1, 60)
    return [{"lesion_ml": scale * plan * each, "attempt": 0} for plan, each in zip(plans, noise, strict=True)]


def test_a_tenth_less_is_seen_in_pairs_though_not_in_groups() -> None:
    row = compare(group(1), group(2, scale=0.9), "lesion_ml")
    assert row["p_pairs"] < 1e-4
    assert row["p"] > 0.1
    assert abs(row["ratio"] - 0.9) < 3 * row["ratio_error"] < 0.1


def test_other_noise_alone_is_no_difference() -> None:
    row = compare(group(1), group(2), "lesion_ml")
    assert min(row["p_pairs"], row["p"]) > 0.05
    assert family({"lesion_ml": row, "tmax6_ml": row})["least_p_pairs_of_all"] == min(1.0, 2 * row["p_pairs"])


def test_pairs_have_the_same_plan_and_both_a_figure() -> None:
    old, new = group(1), group(2)
    new[3]["attempt"], old[5]["lesion_ml"] = 1, np.nan
    assert pairs(old, new, "lesion_ml").shape == (2, 58)
