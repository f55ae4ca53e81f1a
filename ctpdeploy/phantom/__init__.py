"""The digital CT perfusion phantom: patients made of equations, written as ISLES 2018 cases.

Scores on the phantom are never clinical: they serve orderings, regressions and parity of training and deployment.
"""

from ctpdeploy.phantom.patient import Patient, make_patient
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.phantom.writer import write_dataset

__all__ = ["Patient", "PhantomConfig", "make_patient", "write_dataset"]
