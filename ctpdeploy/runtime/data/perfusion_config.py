"""How perfusion maps are computed where a case has none: a choice that travels with the networks trained on them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from ctpdeploy.config import merge
from ctpdeploy.errors import UsageError

__all__ = ["THRESHOLDS", "PerfusionConfig", "stored_perfusion"]

THRESHOLDS: Final[Mapping[str, float]] = {"tsvd": 0.10, "tikhonov": 0.10, "osvd": 0.035}
"""Each method's own threshold: a share of the largest singular value, of oSVD an oscillation index (Wu et al. 2003)."""


@dataclass(frozen=True, kw_only=True)
class PerfusionConfig:
    """Settings of the computation of maps.

    Attributes:
        method: ``"tsvd"`` drops singular values below the threshold, ``"tikhonov"`` damps them, ``"osvd"`` drops as few
            as make a voxel's residue function steady.
        threshold: fraction of the largest singular value, under ``"osvd"`` the largest oscillation index; None for the
            method's own of ``THRESHOLDS``. ``limit`` is the number in force.
        smoothing_fwhm_mm: Gaussian in-plane smoothing of the series before deconvolution; 0 for none.
        tmax: where a residue function is read: ``"maximum"``, refined by a parabola, as the reference software does, or
            ``"onset"``, its first sample of at least 95 % of the maximum. Truncation widens the peak, so the maximum
            lies about 2 s late everywhere; the onset does not, and 6 s of it is no reference software's 6 s.
        vof_scaling: raise the AIF to the area of the VOF. An internal carotid's area can exceed the sinus's
            (PLoS One 10.1371/journal.pone.0097586), so it only ever raises, and the factor is reported.
        least_slice_mm: thickness that thinner slices are averaged to before anything is computed, maps or not: what the
            networks were trained on is no thinner, and less noisy than thin slices are. 0 for whatever there is.

    Raises:
        UsageError: a number is out of range.
    """

    method: Literal["tsvd", "tikhonov", "osvd"] = "tsvd"
    threshold: float | None = None
    smoothing_fwhm_mm: float = 4.0
    tmax: Literal["maximum", "onset"] = "maximum"
    vof_scaling: bool = True
    least_slice_mm: float = 4.0

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 < self.threshold < 1.0:
            raise UsageError(f"'threshold' is {self.threshold}: it must lie between 0 and 1.")
        if not 0.0 <= self.smoothing_fwhm_mm <= 100.0:
            raise UsageError(f"'smoothing_fwhm_mm' is {self.smoothing_fwhm_mm}: it must lie between 0 and 100.")
        if not 0.0 <= self.least_slice_mm <= 30.0:
            raise UsageError(f"'least_slice_mm' is {self.least_slice_mm}: it must lie between 0 and 30.")

    @property
    def limit(self) -> float:
        """The threshold in force."""
        return THRESHOLDS[self.method] if self.threshold is None else self.threshold

    def stated(self) -> "PerfusionConfig":
        """The same with its threshold in figures, for what outlives the defaults of this version."""
        return replace(self, threshold=self.limit)


def stored_perfusion(content: Mapping[str, Any], where: str) -> PerfusionConfig:
    """The settings in the manifest of a bundle or the configuration of a run; where it has none, the first defaults.

    Args:
        content: of the file.
        where: its name in error messages.

    Raises:
        UsageError: a setting is unknown or of another type.
    """
    return merge(PerfusionConfig(), content.get("perfusion", {}), where=f"{where}, [perfusion]")
