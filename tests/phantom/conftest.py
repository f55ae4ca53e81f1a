import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient


@pytest.fixture(scope="session")
def golden() -> Patient:
    """The patient of seed 0."""
    return make_patient(0, PhantomConfig(size=64, slices=2, frames=20))
