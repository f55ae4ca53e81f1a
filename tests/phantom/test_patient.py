"""Patients: what is in them, what they are equal to, and how hard they are."""

import numpy as np
import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.ideal_maps import ideal_maps
from ctpdeploy.runtime.perfusion.threshold_rule import RCBF_BELOW, TMAX_ABOVE_S
from ctpdeploy.runtime.preprocess.perfusion_window import accumulated_intensity, perfusion_window

TINY = PhantomConfig(size=64, slices=2, frames=20)


SMALL = PhantomConfig(size=96, slices=4, frames=45)


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [make_patient(seed, SMALL) for seed in range(7)]


def test_shapes_types_and_ranges() -> None:
    patient = make_patient(0, TINY)
    assert (patient.series.shape, patient.series.dtype) == ((20, 2, 64, 64), np.float32)
    assert (patient.ct.dtype, patient.lesion.dtype, patient.dwi.dtype) == (np.int32, bool, np.float32)
    assert set(patient.maps) == {"cbf", "cbv", "mtt", "tmax"}
    for name, highest in (("cbf", 100), ("cbv", 12), ("mtt", 24), ("tmax", 24)):
        assert patient.maps[name].dtype == np.float32
        assert 0 <= patient.maps[name].min() < patient.maps[name].max() <= highest
    assert all(
        np.isfinite(v).all() for v in (patient.series, patient.dwi, *patient.maps.values(), *patient.truth.values())
    )
    assert 205 / 64 <= patient.spacing[1] == patient.spacing[2] <= 266 / 64
    assert patient.times[-1] > 40  # few frames span the same time


def test_the_same_seed_is_the_same_patient_and_another_is_not() -> None:
    first, again, other = (make_patient(seed, TINY) for seed in (5, np.random.SeedSequence(5), 6))
    np.testing.assert_array_equal(first.series, again.series)
    np.testing.assert_array_equal(first.dwi, again.dwi)
    assert not np.array_equal(first.ct, other.ct)


def test_a_seed_sequence_is_not_used_up() -> None:
    seed = np.random.SeedSequence(7)
    np.testing.assert_array_equal(make_patient(seed, TINY).dwi, make_patient(seed, TINY).dwi)


def test_the_head_does_not_depend_on_the_grid() -> None:
    """The same seed at another size: the same stroke, nearly the same volumes and the same mean brain."""
    coarse, fine = (make_patient(16, PhantomConfig(size=size, slices=4, frames=20)) for size in (64, 128))
    assert coarse.stroke == fine.stroke
    assert coarse.bolus == fine.bolus
    assert coarse.lesion_ml == pytest.approx(fine.lesion_ml, rel=0.25)
    assert coarse.brain.mean() == pytest.approx(fine.brain.mean(), rel=0.02)
    assert coarse.truth["cbf"].mean() == pytest.approx(fine.truth["cbf"].mean(), rel=0.03)


def test_every_lesion_is_large_enough_and_in_one_half_of_the_head(patients: list[Patient]) -> None:
    for patient in patients:
        assert patient.lesion_ml >= 1.0
        columns = np.nonzero(patient.lesion)[2]
        right = np.mean(columns > patient.lesion.shape[2] / 2)
        assert right > 0.9 if patient.stroke.side > 0 else right < 0.1


def test_the_lesion_is_bright_on_dwi_dark_on_flow_and_late() -> None:
    """Where nothing has reperfused since, and DWI lies on CT; true arteries, so that no finder of them is tested."""
    config = PhantomConfig(size=96, slices=4, frames=45, misregistration=0.0)
    patients = [
        patient for patient in (make_patient(seed, config) for seed in range(12)) if not patient.stroke.reperfusion
    ]
    assert len(patients) >= 3
    for patient in patients:
        maps = ideal_maps(patient)
        tissue = patient.truth["cbf"] > 1
        healthy = tissue & (patient.truth["core"] + patient.truth["penumbra"] + patient.truth["old"] < 0.05)
        core = patient.lesion & (maps["cbf"] > 0)
        assert patient.dwi[patient.lesion].mean() > 1.4 * patient.dwi[healthy].mean()
        assert np.median(maps["cbf"][core]) < 0.6 * np.median(maps["cbf"][healthy & (maps["cbf"] > 0)])
        assert np.median(maps["tmax"][core]) > np.median(maps["tmax"][healthy & (maps["cbf"] > 0)]) + 2


def test_the_bolus_is_seen_in_the_sum_of_raw_frames(patients: list[Patient]) -> None:
    """q(t) over all voxels, air and bone included, with the source's K = 5."""
    windows = [perfusion_window(accumulated_intensity(p.series), run_length=5, frames=6) for p in patients]
    assert sum(not window.findings for window in windows) >= 6
    assert sum(window.end < len(p.times) - 1 for window, p in zip(windows, patients, strict=True)) >= 5


def test_a_patient_without_a_stroke_has_neither_core_nor_penumbra() -> None:
    """On maps of the truth; the arteries' share of voxels and noise can only add to it."""
    for seed in range(4):
        patient = make_patient(seed, PhantomConfig(size=96, frames=45, healthy=True))
        maps, voxel_ml = ideal_maps(patient), np.prod(patient.spacing) / 1000
        late = maps["tmax"] > TMAX_ABOVE_S
        assert not patient.lesion.any()
        assert patient.truth["core"].sum() * voxel_ml < 1e-3
        assert patient.truth["penumbra"].sum() * voxel_ml < 0.1
        assert late.sum() * voxel_ml < 0.5
        normal = maps["cbf"][maps["cbf"] > 0]
        assert np.median(maps["tmax"][maps["cbf"] > 0]) < 4.0
        assert np.count_nonzero(normal < RCBF_BELOW * np.median(normal)) < 0.01 * normal.size


def test_the_information_gap_closes() -> None:
    seeds = [seed for seed in range(8) if make_patient(seed, TINY).stroke.old_infarct is not None]
    assert seeds
    full, null = (make_patient(seeds[0], PhantomConfig(size=64, slices=2, frames=20, info_gap=g)) for g in (1.0, 0.0))
    assert full.truth["old"].any()
    assert not null.truth["old"].any()
    assert null.stroke.old_infarct is None


def test_oedema_darkens_the_core_before_contrast() -> None:
    def contrast(info_gap: float) -> float:
        patients = [
            make_patient(seed, PhantomConfig(size=96, slices=4, frames=20, info_gap=info_gap)) for seed in range(8)
        ]
        drops = []
        for patient in patients:
            tissue = (patient.truth["tissue"] > 0.9) & (patient.truth["old"] < 0.01)
            before, core = patient.series[:2].mean(axis=0), patient.truth["core"] > 0.7
            if not (core & tissue).any():
                continue
            drops.append(before[core & tissue].mean() - before[tissue & ~core].mean())
        return float(np.mean(drops))

    assert contrast(1.0) < contrast(0.0) - 1.0


def test_below_the_brain_a_head_goes_on_and_has_no_perfusion() -> None:
    patient = make_patient(3, PhantomConfig(size=64, slices=16, frames=20))
    head = (patient.series[0] > -300).sum(axis=(1, 2))
    widest = int(patient.brain.sum(axis=(1, 2)).argmax())
    assert (head[:widest] > 0.8 * head[widest]).all()
    without_brain = ~patient.brain.any(axis=(1, 2))
    assert without_brain[0]
    assert not any(volume[without_brain].any() for volume in patient.maps.values())
