"""A patient, composed: head, vessels, stroke, contrast, scan."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.phantom.anatomy import CENTRE_Y, TOP_Z, make_head
from ctpdeploy.phantom.bolus import Bolus, draw_bolus
from ctpdeploy.phantom.diffusion import draw_lesion, make_dwi
from ctpdeploy.phantom.enhancement import ideal_series
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.ischaemia import Stroke, draw_stroke, make_tissue
from ctpdeploy.phantom.scanner import measure, plain_ct, workstation_maps
from ctpdeploy.phantom.territories import make_territories
from ctpdeploy.runtime.case import BoolArray, FloatArray
from ctpdeploy.runtime.perfusion import resample_frames

__all__ = ["Patient", "PhantomConfig", "make_patient"]

THICKNESS = {2: (10.0, 12.0), 4: (5.0, 6.0), 8: (5.0, 5.0), 16: (10.0, 10.0), 22: (4.0, 4.0)}
"""Slice thickness in mm that goes with each number of slices in ISLES 2018."""

SLICE_SHARES = {2: 0.54, 4: 0.20, 8: 0.10, 16: 0.14, 22: 0.02}
FRAMES = (43, 44, 45, 46, 49, 53, 61, 64)
NATIVE_INTERVALS = (1.0, 1.5, 2.0)
"""Frame intervals of scanners, in units of the interval on disk, to which ISLES 2018 was resampled."""

MAX_DRAWS = 50

TRUTHS = ("cbf", "cbv", "mtt", "delay", "core", "penumbra", "old")

STREAMS = ("plan", "head", "territories", "tissue", "vessels", "rater", "dwi", "noise", "plain")
"""Parts of a patient, each with random numbers of its own, so that none depends on how many another one drew."""


@dataclass(frozen=True, kw_only=True)
class PhantomConfig:
    """What is scanned, and how.

    Attributes:
        size: rows and columns; the field of view is 205 to 266 mm whatever the size.
        slices: number of slices, each as thick as ISLES 2018 has them (2: 10 to 12 mm, 4: 5 to 6, 8: 5, 16: 10,
            22: 4; others as the nearest of these); drawn as often as there if None.
        frames: number of frames, 1 s apart; drawn from those of ISLES 2018 if None. Fewer than 43 are farther
            apart, so that they span the same 43 s.
        subslices: fine slices averaged for partial volume.
        noise_sigma: noise of a frame in HU, at pixels of 1 mm or less; larger pixels have less.
        info_gap: 1 for all that the raw series knows and the maps do not: oedema of the core, the lower infarct
            threshold of white matter, old infarcts. 0 for none, a negative control.
        min_lesion_ml: patients with a smaller lesion are drawn again.
    """

    size: int = 256
    slices: int | None = None
    frames: int | None = None
    subslices: int = 4
    noise_sigma: float = 5.0
    info_gap: float = 1.0
    min_lesion_ml: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One synthetic study. Arrays ``(D, H, W)``, right, front and top along the ends of the axes.

    Attributes:
        series: ``(T, D, H, W)`` float32 in HU.
        times: ``(T,)`` in s.
        ct: plain CT, int32 in HU, cut off below.
        maps: ``cbf, cbv, mtt, tmax`` as the workstation shows them, float32 in ml/100g/min, ml/100g, s, s.
        dwi: diffusion-weighted image, float32 in arbitrary units.
        lesion: the infarct.
        spacing: ``(dz, dy, dx)`` in mm.
        stroke: what happened.
        bolus: what was injected.
        aif: true arterial enhancement ``(T,)`` in HU.
        brain: true brain with its sulci.
        truth: true CBF, CBV, MTT and delay, and the shares of core, penumbra and old infarct, by name.
        measured_aif: AIF that the workstation found, before scaling, ``(T,)``.
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
    rngs = {name: np.random.default_rng(child) for name, child in zip(STREAMS, seed.spawn(len(STREAMS)), strict=True)}
    grid, times, native = _protocol(config, rngs["plan"])
    stroke = draw_stroke(rngs["plan"], (float(grid.z[0]), float(grid.z[-1])), config.info_gap)
    bolus = draw_bolus(rngs["plan"], float(native[-1]))
    head = make_head(grid, rngs["head"])
    territories = make_territories(head, rngs["territories"])
    tissue = make_tissue(head, stroke, territories, rngs["tissue"], config.info_gap)
    lesion = draw_lesion(head, tissue, rngs["rater"])
    if np.count_nonzero(lesion) * np.prod(grid.spacing) / 1000.0 < config.min_lesion_ml:
        return None
    baseline, ideal = ideal_series(head, tissue, stroke, bolus, native, rngs["vessels"])
    measured = measure(ideal, grid.spacing[2], config.noise_sigma, rngs["noise"])
    series = resample_frames(measured, native, times)
    try:
        maps, analysis = workstation_maps(series, times, grid.spacing)
    except InputError:
        return None
    return Patient(
        series=series,
        times=times,
        ct=plain_ct(baseline, grid.spacing[2], config.noise_sigma, rngs["plain"]),
        maps=maps,
        dwi=make_dwi(head, tissue, stroke.onset_hours, rngs["dwi"]),
        lesion=lesion,
        spacing=grid.spacing,
        stroke=stroke,
        bolus=bolus,
        aif=bolus.at(bolus.aif(), times),
        brain=grid.average(head.depth > 0) > 0.5,
        truth={name: grid.average(getattr(tissue, name)) for name in TRUTHS},
        measured_aif=analysis.vessels.aif,
        attempt=attempt,
    )


def _protocol(config: PhantomConfig, rng: np.random.Generator) -> tuple[Grid, FloatArray, FloatArray]:
    """The voxels, the frame times on disk and the scanner's own frame times, in s."""
    slices = int(rng.choice(list(SLICE_SHARES), p=list(SLICE_SHARES.values())))  # drawn even if given: same stream
    slices = config.slices or slices
    low, high = THICKNESS[min(THICKNESS, key=lambda known: abs(known - slices))]
    thickness = rng.uniform(low, high)
    frames = int(rng.choice(FRAMES))
    frames = config.frames or frames
    interval = max(1.0, FRAMES[0] / frames)
    times = interval * np.arange(frames)
    step = interval * rng.choice(NATIVE_INTERVALS)
    grid = Grid.centred(
        size=config.size,
        slices=slices,
        subslices=config.subslices,
        fov=rng.uniform(205.0, 266.0),
        thickness=thickness,
        bottom=min(rng.uniform(-14.0, 14.0), TOP_Z - slices * thickness),
        centre_y=CENTRE_Y,
    )
    return grid, times, np.arange(0.0, times[-1] + step - 1e-9, step)
