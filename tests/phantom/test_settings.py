"""Settings of a patient."""

import pytest

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.phantom import PhantomConfig, bolus, make_patient, settings


@pytest.mark.parametrize("name", ["motion", "misregistration", "emboli", "leukoaraiosis"])
def test_a_negative_strength_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' of the phantom is -1.0"):
        PhantomConfig(**{name: -1.0})


def test_a_configuration_out_of_reason_is_refused() -> None:
    with pytest.raises(InputError, match="50 draws"):
        make_patient(0, PhantomConfig(size=16, slices=1, frames=20, subslices=1, min_lesion_ml=1e6))


def test_every_residue_of_the_settings_is_a_function() -> None:
    assert tuple(bolus.RESIDUES) == settings.RESIDUES
