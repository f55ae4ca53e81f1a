"""Scores of cases that nobody has measured."""

from ctpdeploy.runtime.cohort.case_score import METRICS, CaseScore

MASK = ("dice", "precision", "recall", "rve", "dv_ml", "abs_dv_ml", "hd_mm", "hd_or_diagonal_mm", "assd_mm")
IMAGE = (
    *("global_ssim", "local_ssim", "global_psnr", "local_psnr"),
    *("brain_ssim", "brain_psnr", "flat_ssim", "flat_psnr"),
)


def score(case: str, volume: float) -> CaseScore:
    figures = dict.fromkeys(METRICS["networks"], 0.1)
    return CaseScore(case=case, true_volume_ml=volume, networks=figures, threshold_rule=figures)


def scored(case: str = "case_1", volume: float = 5.0, **figures: float) -> CaseScore:
    """A score whose figures are 0.5 but for those given, of the networks."""
    everything = {"volume_ml": 1.0} | dict.fromkeys((*MASK, "ap", *IMAGE), 0.5)
    rule = dict.fromkeys(("volume_ml", *MASK), 0.25)
    return CaseScore(case=case, true_volume_ml=volume, networks=everything | figures, threshold_rule=rule)
