"""A patient, composed: head, vessels, stroke, contrast, scan."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.phantom.anatomy import make_head
from ctpdeploy.phantom.bolus import Bolus, draw_bolus
from ctpdeploy.phantom.diffusion import draw_lesion, make_dwi, rician
from ctpdeploy.phantom.enhancement import ideal_series
from ctpdeploy.phantom.head import Head
from ctpdeploy.phantom.ischaemia import Tissue, make_tissue
from ctpdeploy.phantom.motion import Motion, Offset, displace, draw_motion, draw_offset, move
from ctpdeploy.phantom.protocol import draw_protocol, interpolation
from ctpdeploy.phantom.scanner import Dose, measure, plain_ct, workstation_maps
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.phantom.stroke import Stroke, draw_stroke
from ctpdeploy.phantom.territories import make_territories
from ctpdeploy.runtime.data.case import BoolArray, FloatArray

__all__ = ["Patient", "make_patient"]

MAX_DRAWS = 50

TRUTHS = ("cbf", "cbv", "mtt", "delay", "core", "penumbra", "old")

STREAMS = (
    "plan",
    "head",
    "territories",
    "tissue",
    "vessels",
    "rater",
    "dwi",
    "noise",
    "plain",
    "extras",
    "motion",
    "misregistration",
)
"""Parts of a patient, each with random numbers of its own, so that none depends on how many another one drew.

A new one comes last: those before it keep their numbers.
"""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One synthetic case. Arrays ``(D, H, W)``, right, front and top along the ends of the axes.

    Attributes:
        series: ``(T, D, H, W)`` float32 in HU.
        times: ``(T,)`` in s.
        ct: plain CT, int32 in HU, cut off below.
        maps: ``cbf, cbv, mtt, tmax`` as the workstation shows them, float32 in ml/100g/min, ml/100g, s, s.
        dwi: diffusion-weighted image, float32 in arbitrary units.
        lesion: the infarct.
        spacing: ``(dz, dy, dx)`` in mm.
        stroke: of the patient.
        bolus: of contrast agent.
        aif: true arterial enhancement ``(T,)`` in HU.
        brain: true brain with its sulci.
        truth: share of grey and white matter, true CBF, CBV, MTT and delay, and the shares of core, penumbra and old
            infarct, by name, each a mean over the voxel with zero where there is no tissue.
        measured_aif: AIF that the workstation found, before scaling, ``(T,)``.
        motion: of the head during the series, if any.
        misregistration: of DWI and lesion against all else.
        attempt: how many draws were thrown away before this one.
    """

    series: NDArray[np.float32]
    times: FloatArray
    ct: NDArray[np.int32]
    maps: Mapping[str, NDArray[np.float32]]
    dwi: NDArray[np.float32]
    lesion: BoolArray
    spacing: tuple[float, float, float]
    stroke: Stroke
    bolus: Bolus
    aif: NDArray[np.float32]
    brain: BoolArray
    truth: Mapping[str, NDArray[np.float32]]
    measured_aif: FloatArray
    motion: Motion | None
    misregistration: Offset
    attempt: int

    @property
    def lesion_ml(self) -> float:
        """Volume of the infarct in ml."""
        return float(np.count_nonzero(self.lesion) * np.prod(self.spacing) / 1000.0)


def make_patient(seed: int | np.random.SeedSequence, config: PhantomConfig | None = None) -> Patient:
    """Make the patient of a seed; the same seed and configuration give the same numbers.

    Draws again, in a fixed order, while the lesion is too small or the slab holds no artery.

    Args:
        seed: any; a ``SeedSequence`` is not changed.
        config: defaults to ``PhantomConfig()``.

    Raises:
        InputError: fifty draws gave no patient, which only a configuration out of reason does.
    """
    config = config or PhantomConfig()
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    for attempt in range(MAX_DRAWS):
        draw = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, attempt))
        patient = _draw(draw, config, attempt)
        if patient is not None:
            return patient
    raise InputError(
        f"No patient in {MAX_DRAWS} draws with {config}: ask for a larger field, more frames or less noise."
    )


def _draw(seed: np.random.SeedSequence, config: PhantomConfig, attempt: int) -> Patient | None:
    """One draw; None if it has too small a lesion or shows no artery."""
    rngs = {
        name: np.random.Generator(np.random.SFC64(child))
        for name, child in zip(STREAMS, seed.spawn(len(STREAMS)), strict=True)
    }
    protocol = draw_protocol(config, rngs["plan"])
    grid, times, native = protocol.grid, protocol.times, protocol.native
    stroke = draw_stroke(config, (float(grid.z[0]), float(grid.z[-1])), rngs["plan"], rngs["extras"])
    bolus = draw_bolus(rngs["plan"], float(native[-1]), config.residue)
    head, crop = make_head(grid, rngs["head"], config.anatomy)
    grid, pixel = head.grid, grid.spacing[2]
    brain = head.brain_voxels()
    territories = make_territories(brain, rngs["territories"])
    tissue = make_tissue(brain, stroke, territories, rngs["tissue"], config.info_gap)
    offset = draw_offset(rngs["misregistration"], config.misregistration)
    lesion = draw_lesion(head, tissue, rngs["rater"], offset.up_mm)
    if np.count_nonzero(lesion) * np.prod(grid.spacing) / 1000.0 < config.min_lesion_ml and not config.healthy:
        return None
    ideal = ideal_series(head, tissue, stroke, bolus, native, rngs["vessels"])
    motion = draw_motion(rngs["motion"], len(native), config.motion)
    blend, dose = interpolation(native, times), Dose(sigma=config.noise_sigma, noise=config.noise)
    series = measure(move(ideal.frames(), motion, pixel), crop, blend, pixel, dose, rngs["noise"])
    try:
        maps, vessels = workstation_maps(series, times, grid.spacing)
    except InputError:
        return None
    dwi = make_dwi(brain, tissue, stroke.onset_hours, rngs["dwi"], offset.up_mm)
    dwi, share = np.split(crop.paste(displace(np.concatenate([dwi, lesion]), offset, pixel)), 2)
    return Patient(
        series=series,
        times=times,
        ct=plain_ct(ideal.baseline, crop, pixel, dose, rngs["plain"]),
        maps=maps,
        dwi=rician(dwi, rngs["dwi"]),
        lesion=share > 0.5,
        spacing=grid.spacing,
        stroke=stroke,
        bolus=bolus,
        aif=bolus.at(bolus.aif(), times),
        brain=crop.paste(grid.average(head.depth > 0) > 0.5),
        truth={name: crop.paste(value) for name, value in _truth(head, tissue).items()},
        measured_aif=vessels.aif,
        motion=motion,
        misregistration=offset,
        attempt=attempt,
    )


def _truth(head: Head, tissue: Tissue) -> dict[str, NDArray[np.float32]]:
    """Means over voxels."""
    volumes = {"tissue": head.grey | head.white, **{name: getattr(tissue, name) for name in TRUTHS}}
    return {name: head.grid.average(volume) for name, volume in volumes.items()}
