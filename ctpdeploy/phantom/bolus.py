"""The contrast bolus: arterial input, venous output, and a table of the tissue curves that follow from it.

::

    AIF(t) = P ((t - t0) / (a b))^a exp(a - (t - t0) / b)                       gamma variate, peak P at t0 + a b
    C(t)   = (rho / k_H) (CBF / 6000) [AIF (x) h_d (x) R](t)                     tissue, HU above baseline
    AIF    + r AIF (x) g + P p [risen (x) e]                                    second passage; mixed, slowly rising
    R(t)   = Q(lambda, lambda t / MTT)                                          share of tracer still there after t
    h_d(t) = exp(-(t - d) / theta) / theta, t > d, theta = 0.35 d               delay with its dispersion

Q is the regularised upper incomplete gamma function: transit times are gamma distributed with mean MTT; lambda = 1
is the exponential residue, lambda -> infinity the box. ``risen`` is the share of the first passage that is over.

With P 250 to 500 HU and these widths the bolus has the full
width at half maximum of 10 to 11 s; the tail follows the clinical AIF of the Erlangen phantom, whose peak of 485 HU
is followed by a trough of 104 HU after 31 s, a second passage of 125 HU after 35 s, 90 HU after 41 s and a rise to 112
HU at the end. So q(t) does not fall up to the last frame, and the perfusion window ends before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from ctpdeploy.phantom.fields import Volume
from ctpdeploy.phantom.settings import Residue
from ctpdeploy.runtime.perfusion.deconvolution import DENSITY, HAEMATOCRIT_RATIO

__all__ = ["DELAYS", "RESIDUES", "TRANSIT_TIMES", "Bolus", "artery_rows", "draw_bolus", "tissue_rows"]

Curve = NDArray[np.floating[Any]]

FINE_STEP = 0.25  # s
TRANSIT_TIMES = np.geomspace(2.0, 30.0, 28)
DELAYS = np.arange(0.0, 22.5, 0.5)
DISPERSION = 0.35  # theta / d
RECIRCULATION, RECIRCULATION_DELAY, RECIRCULATION_TAU = 0.06, 8.0, 1.6
START_S = (4.0, 8.0)  # later, a scan of 43 s would end before the tail
VENOUS_TAU = 1.4
PERMEABILITY = 0.15  # 1/min, of scalp and neck, which have no blood-brain barrier
PLATEAU, PLATEAU_TAU = 0.27, 9.0  # of the peak, and how slowly it is reached in s

RESIDUES: dict[Residue, Callable[[Curve, float], Curve]] = {
    "gamma": lambda u, shape: special.gammaincc(shape, shape * u),
    "exponential": lambda u, _: np.exp(-u),
    "box": lambda u, _: np.clip(10.5 - 10 * u, 0.0, 1.0),
}
"""R by form, of time in units of MTT and of lambda; the box's end is a ramp of a tenth of MTT, for the grid's sake."""


@dataclass(frozen=True, kw_only=True)
class Bolus:
    """One injection, as it reaches one patient.

    Attributes:
        start: t0 in s.
        shape: a.
        scale: b in s.
        peak: P in HU.
        residue: form of the residue function, of :data:`RESIDUES`.
        residue_shape: lambda of a gamma residue.
        venous_delay: s from artery to vein, before dispersion.
        duration: s that curves are needed for.
    """

    start: float
    shape: float
    scale: float
    peak: float
    residue: Residue
    residue_shape: float
    venous_delay: float
    duration: float

    @property
    def fine_times(self) -> Curve:
        """The grid on which curves are convolved, in s."""
        return np.arange(0.0, self.duration + 2 * FINE_STEP, FINE_STEP)

    def aif(self) -> Curve:
        """Arterial enhancement on ``fine_times``, first pass with recirculation, in HU."""
        t = self.fine_times
        u = np.clip(t - self.start, 0.0, None) / self.scale
        first = self.peak * (u / self.shape) ** self.shape * np.exp(self.shape - u)
        second = RECIRCULATION * _convolve(first, _passage(t - RECIRCULATION_DELAY, RECIRCULATION_TAU))
        risen = np.cumsum(first) / max(first.sum(), 1e-12)
        return first + second + PLATEAU * self.peak * _convolve(risen, _exponential(t, PLATEAU_TAU))

    def vof(self) -> Curve:
        """Venous enhancement: the artery's, later and wider, of the same area."""
        return _convolve(self.aif(), _passage(self.fine_times - self.venous_delay, VENOUS_TAU))

    def late(self, delay: float, tau: float) -> Curve:
        """Arterial enhancement that came round through collaterals: delayed, and dispersed by ``tau``, both in s."""
        return _convolve(self.aif(), _exponential(self.fine_times - delay, tau))

    def leaked(self) -> Curve:
        """Enhancement of scalp and neck, into which contrast leaks: a constant times the integral of the artery's."""
        return PERMEABILITY / 60.0 * FINE_STEP * np.cumsum(self.aif())

    def table(self) -> NDArray[np.float32]:
        """Arterial and tissue curves on ``fine_times``, in HU, each row one of :meth:`rows`.

        Rows: every MTT by every delay for tissue of CBF 1 ml/100g/min; then an artery at every delay.
        """
        t = self.fine_times
        delays = np.stack([_exponential(t - delay, DISPERSION * delay) for delay in DELAYS])
        arteries = _convolve(self.aif(), delays).astype(np.float32)
        residues = RESIDUES[self.residue](t / TRANSIT_TIMES[:, None], self.residue_shape)
        flow = DENSITY / HAEMATOCRIT_RATIO / 6000.0 * FINE_STEP
        tissue = _convolve(arteries, (flow * _half_first(residues)[:, None]).astype(np.float32))
        return np.concatenate([tissue.reshape(-1, len(t)), arteries])

    def at(self, curves: Curve, times: Curve) -> NDArray[np.float32]:
        """Curves ``(..., fine times)`` at the frame times ``(T,)``: ``(..., T)`` float32, by linear interpolation."""
        left = np.minimum((times / FINE_STEP).astype(int), curves.shape[-1] - 2)
        share = times / FINE_STEP - left
        return ((1 - share) * curves[..., left] + share * curves[..., left + 1]).astype(np.float32)


def draw_bolus(rng: np.random.Generator, duration: float, residue: Residue = "gamma") -> Bolus:
    """Draw an injection."""
    return Bolus(
        start=rng.uniform(*START_S),
        shape=rng.uniform(2.6, 3.6),
        scale=rng.uniform(2.0, 3.0),
        peak=rng.uniform(250.0, 500.0),
        residue=residue,
        residue_shape=rng.uniform(1.5, 3.0),
        venous_delay=rng.uniform(3.0, 4.0),
        duration=duration,
    )


def tissue_rows(mtt: Volume, delay: Volume) -> tuple[NDArray[np.int32], Volume]:
    """Rows of the table and their weights for bilinear look-up, both ``(4, N)``; MTT and delay ``(N,)`` in s."""
    position = np.log(np.clip(mtt / TRANSIT_TIMES[0], 1.0, None)) / np.log(TRANSIT_TIMES[1] / TRANSIT_TIMES[0])
    row, row_share = _bracket(position, len(TRANSIT_TIMES))
    column, column_share = _bracket(delay / DELAYS[1], len(DELAYS))
    corner = row * len(DELAYS) + column
    rows = np.stack([corner, corner + 1, corner + len(DELAYS), corner + len(DELAYS) + 1])
    left, low = 1 - row_share, 1 - column_share
    return rows, np.stack([left * low, left * column_share, row_share * low, row_share * column_share])


def artery_rows(delay: Volume) -> tuple[NDArray[np.int32], Volume]:
    """Rows of the table and their weights for arteries ``(2, N)``; delay ``(N,)`` in s."""
    column, share = _bracket(delay / DELAYS[1], len(DELAYS))
    first = len(TRANSIT_TIMES) * len(DELAYS) + column
    return np.stack([first, first + 1]), np.stack([1 - share, share])


def _bracket(position: Volume, count: int) -> tuple[NDArray[np.int32], Volume]:
    """Lower neighbour among ``count`` grid points, and the share of the upper one."""
    lower = np.clip(position, 0, count - 1.001).astype(np.int32)
    return lower, np.clip(position - lower, 0, 1).astype(np.float32)


def _passage(t: Curve, tau: float) -> Curve:
    """t^2 exp(-t / tau), t >= 0, of unit sum: the spread of transit times through a bed."""
    t = np.clip(t, 0.0, None)
    passage = t**2 * np.exp(-t / tau)
    return passage / passage.sum()


def _exponential(t: Curve, tau: float) -> Curve:
    """exp(-t / tau), t >= 0, of unit sum over all time; a pure delay where tau is shorter than the grid."""
    tau = max(tau, 0.05)
    return -np.expm1(-FINE_STEP / tau) * np.where(t > -0.5 * FINE_STEP, np.exp(-np.clip(t, 0.0, None) / tau), 0.0)


def _half_first(residues: Curve) -> Curve:
    """Trapezoidal rule: the first sample counts half."""
    halved = residues.copy()
    halved[..., 0] *= 0.5
    return halved


def _convolve(first: Curve, second: Curve) -> Curve:
    """Causal convolution along the last axis, cut to its length."""
    length = first.shape[-1]
    size = fft.next_fast_len(2 * length, real=True)
    spectra = fft.rfft(first, size) * fft.rfft(second, size)
    return fft.irfft(spectra, size, overwrite_x=True)[..., :length]
