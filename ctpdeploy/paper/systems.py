"""The systems of the source's tables: which networks, on what inputs, with which losses, trained how.

A system is a row of a table, but for those that an ensemble, a row of table 6, averages, and for one that is of none.
Rows that are one and the same system share it: 37 rows, 35 systems. Of rows that are *derived* the source leaves more
open than a number. Inputs are named::

    frames    I*, six frames of the series            maps        F_o: CBF, CBV, MTT, Tmax
    features  F_o and F_l, the temporal maximum       extractor   F_h, what Phi_e makes of the frames
    dwi       I_d, the real DWI                       pseudo_dwi  I_g, what Phi_g makes of its inputs
"""

from dataclasses import dataclass, replace
from typing import Literal

from ctpdeploy.errors import UnknownKeyError

__all__ = [
    "CONTROLS",
    "ENSEMBLES",
    "SYSTEMS",
    "TABLES",
    "UNDEFINED",
    "Ensemble",
    "Synthesis",
    "System",
    "row_named",
    "system_named",
]

Role = Literal["extractor", "generator", "segmenter"]
"""Role of a network in a system: Phi_e, Phi_g or Phi_s."""

Source = Literal["frames", "features", "maps", "dwi", "extractor", "pseudo_dwi"]
SegmenterName = Literal["fcn", "unet", "r2unet", "resunet", "slnet", "slnet_no_se", "slnet_no_sn"]
SegmentationTerm = Literal["ce", "wce", "dice", "gd", "hgd"]
Pixel = Literal["l1", "l2", "wl2"]


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Inputs and losses of the synthesis of the pseudo-DWI.

    Attributes:
        sees: inputs of the generator; with ``"extractor"`` among them there is a feature extractor.
        pixel: l_l, by absolute difference, square, or weighted square (equation 7); None for none.
        pixel_weight: of l_l. Where an adversarial loss stands beside it 100, the ratio of pix2pix; the source gives
            none.
        context: l_h of equation 8 with this norm, 1 or 2; None for none.
        adversarial: the least-squares GAN loss of a multi-scale discriminator that also sees F_o.
        supervised_extractor: L_e teaches F_h to resemble the DWI; without, F_h is the F_h^* of table 2.
    """

    sees: tuple[Source, ...]
    pixel: Pixel | None = "wl2"
    pixel_weight: float = 1.0
    context: Literal[1, 2] | None = 1
    adversarial: bool = False
    supervised_extractor: bool = True

    @property
    def loss(self) -> tuple[str, ...]:
        """Terms of the generator's loss by their names in table 1, and L_e where the extractor has one."""
        terms = (
            self.pixel,
            f"lh{self.context}" if self.context else None,
            "gan" if self.adversarial else None,
            "le" if self.supervised_extractor and "extractor" in self.sees else None,
        )
        return tuple(term for term in terms if term)


@dataclass(frozen=True, kw_only=True)
class System:
    """A row of the tables.

    Attributes:
        segmenter: the network that draws the lesion.
        sees: inputs of the segmenter.
        loss: terms of its loss, added up.
        synthesis: of the pseudo-DWI; None where the segmenter has none as input.
        stages: the networks that learn together, stage after stage; those of earlier stages stay as they are.
        augmented: mirrored, turned and resized slices are learnt from: whatever of it the settings of a run leave out,
            by 10 degrees and a tenth at most.
        patches: class-balanced patches are learnt from in the place of whole slices.
        derived: what was chosen where the source leaves it open, for a row that is derived.
    """

    segmenter: SegmenterName
    sees: tuple[Source, ...]
    loss: tuple[SegmentationTerm, ...]
    synthesis: Synthesis | None = None
    stages: tuple[tuple[Role, ...], ...] = (("segmenter",),)
    augmented: bool = False
    patches: bool = False
    derived: str = ""

    @property
    def wiring(self) -> dict[Role, tuple[Source, ...]]:
        """Inputs of each network, in the order in which they run."""
        wiring: dict[Role, tuple[Source, ...]] = {}
        if self.synthesis is not None:
            if "extractor" in self.synthesis.sees:
                wiring["extractor"] = ("frames",)
            wiring["generator"] = self.synthesis.sees
        return wiring | {"segmenter": self.sees}

    @property
    def needs_dwi(self) -> bool:
        """Whether training needs the real DWI, as a target or as an input."""
        return self.synthesis is not None or "dwi" in self.sees


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """A row of table 6 whose probability of lesion is the mean of several systems'.

    Attributes:
        members: their names, one as often as it is trained.
        derived: as of a system.
    """

    members: tuple[str, ...]
    derived: str

    @property
    def needs_dwi(self) -> bool:
        """Whether training needs the real DWI."""
        return any(SYSTEMS[member].needs_dwi for member in self.members)

    def runs(self, seed: int) -> tuple[tuple[str, int], ...]:
        """System and seed of each run behind the ensemble of a seed; ensembles of two seeds have none in common."""
        return tuple(
            (member, seed * self.members.count(member) + self.members[:place].count(member))
            for place, member in enumerate(self.members)
        )


_JOINT: tuple[tuple[Role, ...], ...] = (("extractor", "generator", "segmenter"),)
_PROPOSED = Synthesis(sees=("features", "extractor"))


def _synthesised(**synthesis: object) -> System:
    """Tables 1 and 2: synthesis first, then a UNet with cross entropy on what was synthesised."""
    made = Synthesis(**{"sees": ("maps",), **synthesis})  # type: ignore[arg-type]
    first: tuple[Role, ...] = ("extractor", "generator") if "extractor" in made.sees else ("generator",)
    return System(segmenter="unet", sees=("pseudo_dwi",), loss=("ce",), synthesis=made, stages=(first, ("segmenter",)))


def _on_maps(segmenter: SegmenterName, *loss: SegmentationTerm) -> System:
    """Tables 3, 4 and 6: the perfusion maps alone."""
    return System(segmenter=segmenter, sees=("maps",), loss=loss)


def _augmented(segmenter: SegmenterName) -> System:
    """Table 6: a member of the ensemble of Chen et al."""
    return replace(_on_maps(segmenter, "ce"), augmented=True)


def _proposed(
    sees: tuple[Source, ...], synthesis: Synthesis | None = None, stages: tuple[tuple[Role, ...], ...] | None = None
) -> System:
    """Table 5: SLNet with L_s, end to end."""
    joint: tuple[Role, ...] = ("generator", "segmenter") if synthesis else ("segmenter",)
    return System(segmenter="slnet", sees=sees, loss=("wce", "hgd"), synthesis=synthesis, stages=stages or (joint,))


SYSTEMS: dict[str, System] = {
    # table 1: losses of synthesis
    "l1": _synthesised(pixel="l1", context=None),
    "l2": _synthesised(pixel="l2", context=None),
    "gan": _synthesised(pixel=None, context=None, adversarial=True),
    "l2_gan": _synthesised(pixel="l2", pixel_weight=100.0, context=None, adversarial=True),
    "wl2": _synthesised(context=None),
    "wl2_lh1": _synthesised(),
    "wl2_lh2": _synthesised(context=2),
    # table 2: inputs of synthesis
    "unet_dwi_ol": _synthesised(sees=("features",)),
    "unet_dwi_olh_star": _synthesised(sees=("features", "extractor"), supervised_extractor=False),
    "unet_dwi_olh": _synthesised(sees=("features", "extractor")),
    "unet_real_dwi": System(segmenter="unet", sees=("dwi",), loss=("ce",)),
    # table 3: networks
    "fcn": _on_maps("fcn", "ce"),
    "unet": _on_maps("unet", "ce"),
    "r2unet": _on_maps("r2unet", "ce"),
    "resunet": replace(_on_maps("resunet", "ce"), derived="a network that has the number of weights printed"),
    "slnet": _on_maps("slnet", "ce"),
    "slnet_no_se": _on_maps("slnet_no_se", "ce"),
    "slnet_no_sn": _on_maps("slnet_no_sn", "ce"),
    # table 4: losses of segmentation
    "dice": _on_maps("slnet", "dice"),
    "gd": _on_maps("slnet", "gd"),
    "hgd": _on_maps("slnet", "hgd"),
    "ce_hgd": _on_maps("slnet", "ce", "hgd"),
    "wce_hgd": _on_maps("slnet", "wce", "hgd"),
    # table 5: inputs of segmentation
    "cta": _proposed(("frames",)),
    "dwi_o": _proposed(("pseudo_dwi",), Synthesis(sees=("maps",))),
    "dwi_ol": _proposed(("pseudo_dwi",), Synthesis(sees=("features",))),
    "dwi_olh": _proposed(("pseudo_dwi",), _PROPOSED, _JOINT),
    "dwi_olh_s": _proposed(("pseudo_dwi",), _PROPOSED, (("extractor",), ("generator",), ("segmenter",))),
    "maps_dwi_olh": _proposed(("maps", "pseudo_dwi"), _PROPOSED, _JOINT),
    "real_dwi": _proposed(("dwi",)),
    # table 6: what others sent to the challenge, and the members of their ensembles
    "liu": replace(
        _synthesised(pixel="l2", pixel_weight=100.0, context=None, adversarial=True),
        loss=("wce", "gd"),
        augmented=True,
        derived="a plain UNet for both networks, the weights of the losses, how slices are augmented",
    ),
    "chen_unet": _augmented("unet"),
    "chen_r2unet": _augmented("r2unet"),
    "chen_seunet": _augmented("slnet_no_sn"),
    "garcia_unet": replace(_on_maps("unet", "ce"), patches=True),
    # of no table: all that the proposed system sees, straight into SLNet; what the detour by a pseudo-DWI has to beat
    "features_frames": _proposed(("features", "frames")),
}
"""Every system by its name; the source's own is ``dwi_olh``."""

ENSEMBLES: dict[str, Ensemble] = {
    "chen": Ensemble(
        members=("chen_unet", "chen_r2unet", "chen_seunet"),
        derived="which networks, their loss, how slices are augmented",
    ),
    "garcia": Ensemble(
        members=("garcia_unet", "garcia_unet", "garcia_unet"),
        derived="UNets that differ in their seed, their loss, size and share of the patches",
    ),
}
"""Every ensemble by its name, which no system has."""

TABLES: dict[int, dict[str, str]] = {
    1: {row: row for row in ("l1", "l2", "gan", "l2_gan", "wl2", "wl2_lh1", "wl2_lh2")},
    2: {
        "Fo": "wl2_lh1",
        "Fo_Fl": "unet_dwi_ol",
        "Fo_Fl_FhStar": "unet_dwi_olh_star",
        "Fo_Fl_Fh": "unet_dwi_olh",
        "real_dwi": "unet_real_dwi",
    },
    3: {row: row for row in ("fcn", "unet", "r2unet", "resunet", "slnet", "slnet_no_se", "slnet_no_sn")},
    4: {"ce": "slnet"} | {row: row for row in ("dice", "gd", "hgd", "ce_hgd", "wce_hgd")},
    5: {
        "cta": "cta",
        "Fo": "wce_hgd",
        "dwi_o": "dwi_o",
        "dwi_ol": "dwi_ol",
        "dwi_olh": "dwi_olh",
        "dwi_olh_s": "dwi_olh_s",
        "Fo_dwi_olh": "maps_dwi_olh",
        "real_dwi": "real_dwi",
    },
    6: {"ours": "dwi_olh", "liu": "liu", "chen": "chen", "garcia": "garcia"},
}
"""The system or ensemble behind each row, rows by their names in ``published.json``."""

UNDEFINED: dict[int, dict[str, str]] = {
    6: {
        "hu": "the source names a multi-level 3D refinement module and training by a curriculum, and gives neither the "
        "layers of the one nor the steps of the other"
    },
}
"""Rows that no system can stand for, by table and name, and why."""

CONTROLS: dict[str, str] = {"features_frames": "features_frames"}
"""Rows of no table that can be trained beside those of any, and their systems."""


def row_named(name: str) -> System | Ensemble:
    """The system or ensemble behind a row.

    Raises:
        UnknownKeyError: there is none of that name.
    """
    return ENSEMBLES[name] if name in ENSEMBLES else system_named(name)


def system_named(name: str) -> System:
    """The system of that name.

    Raises:
        UnknownKeyError: there is none.
    """
    if name not in SYSTEMS:
        raise UnknownKeyError(name, SYSTEMS, "the list of systems")
    return SYSTEMS[name]
