"""Settings of the phantom."""

from dataclasses import dataclass
from typing import Literal, get_args

from ctpdeploy.errors import UnknownKeyError, UsageError
from ctpdeploy.optional import require

__all__ = ["Noise", "PhantomConfig", "Residue"]

Noise = Literal["ramp", "white"]
NOISES: tuple[Noise, ...] = get_args(Noise)
Residue = Literal["gamma", "exponential", "box"]
RESIDUES: tuple[Residue, ...] = get_args(Residue)
PACKAGES = {"procedural": None, "mni": "nilearn"}
"""Package that an anatomy needs, if any; its extra has the anatomy's name."""

STRENGTHS = ("motion", "misregistration", "emboli", "leukoaraiosis")


@dataclass(frozen=True, kw_only=True)
class PhantomConfig:
    """Settings of a patient and of the scan.

    Attributes:
        anatomy: where brains come from: ``"procedural"``, formulas alone, or ``"mni"``, the MNI ICBM 152 atlas
            deformed, which needs nilearn.
        size: rows and columns; the field of view is 205 to 266 mm whatever the size.
        slices: number of slices, each as thick as ISLES 2018 has them (2: 10 to 12 mm, 4: 5 to 6, 8: 5, 16: 10,
            22: 4; others as the nearest of these); drawn as often as there if None.
        frames: number of frames, 1 s apart; drawn from those of ISLES 2018 if None. Fewer than 43 are farther
            apart, so that they span the same 43 s.
        subslices: fine slices averaged for partial volume; as many as make them 3 mm thick or thinner if None.
        residue: what is left in tissue after an ideal bolus: ``"gamma"`` transit times, ``"exponential"``, ``"box"``.
        noise: ``"ramp"`` for the spectrum of filtered back-projection, ``"white"``.
        noise_sigma: noise of a frame in HU, at pixels of 1 mm or less; larger pixels have less.
        info_gap: 1 for all information in the raw series that the maps lack: oedema of the core, the lower infarct
            threshold of white matter, old infarcts. 0 for none, a negative control.
        motion: strength of the head's motion during the scan: 1 for a random walk of 0.3 mm and 0.15 degrees a frame
            and one jerk of up to 4 mm and 3 degrees, 0 for none, as ISLES 2018 is corrected for it.
        misregistration: strength of the shift between DWI, on which the lesion is drawn, and CT: 1 for 0.5 to 2 mm in
            the plane and up to 4 mm across it.
        emboli: strength of further small infarcts on the side of the clot: 1 for up to 5 with a radius of 2 to 5 mm.
        leukoaraiosis: strength of the rarefaction of white matter around the ventricles: 1 for up to 30 %.
        min_lesion_ml: patients with a smaller lesion are drawn again.
        healthy: a patient with neither a stroke nor an old infarct nor a stenosis.

    Raises:
        UnknownKeyError: there is no such anatomy, residue or noise.
        MissingPackageError: the anatomy's package is not installed.
        UsageError: a strength is negative.
    """

    anatomy: str = "procedural"
    size: int = 256
    slices: int | None = None
    frames: int | None = None
    subslices: int | None = None
    noise_sigma: float = 5.0
    info_gap: float = 1.0
    motion: float = 0.0
    residue: Residue = "gamma"
    noise: Noise = "ramp"
    misregistration: float = 1.0
    emboli: float = 0.0
    leukoaraiosis: float = 0.0
    min_lesion_ml: float = 1.0
    healthy: bool = False

    def __post_init__(self) -> None:
        if self.anatomy not in PACKAGES:
            raise UnknownKeyError(self.anatomy, PACKAGES, "the phantom's anatomies")
        package = PACKAGES[self.anatomy]
        if package is not None:
            require(package, extra=self.anatomy)
        for name, known in (("residue", RESIDUES), ("noise", NOISES)):
            if getattr(self, name) not in known:
                raise UnknownKeyError(getattr(self, name), known, f"'{name}' of the phantom")
        for name in STRENGTHS:
            if getattr(self, name) < 0:
                raise UsageError(f"'{name}' of the phantom is {getattr(self, name)}: it must not be negative.")
