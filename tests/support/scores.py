"""Scores of cases that nobody has measured."""

from ctpdeploy.runtime.cohort.evaluation import METRICS, CaseScore


def score(case: str, volume: float) -> CaseScore:
    figures = dict.fromkeys(METRICS["networks"], 0.1)
    return CaseScore(case=case, true_volume_ml=volume, networks=figures, threshold_rule=figures)
