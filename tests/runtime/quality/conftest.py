"""A patient to spoil."""

import numpy as np
import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient


@pytest.fixture(scope="session")
def patient() -> Patient:
    return make_patient(np.random.SeedSequence(80), PhantomConfig(size=128, slices=4))
