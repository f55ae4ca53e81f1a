"""The digital CT perfusion phantom: patients made of equations, written as ISLES 2018 cases.

Scores on the phantom are never clinical: they serve orderings, regressions and parity of training and deployment.
"""

from typing import TYPE_CHECKING, Any

from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.phantom.writer import write_dataset

if TYPE_CHECKING:
    from ctpdeploy.phantom.patient import Patient, make_patient

__all__ = ["Patient", "PhantomConfig", "make_patient", "write_dataset"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  of whatever kind it is
    """What makes patients is imported when it is used: a process that has others write them never does."""
    if name not in ("Patient", "make_patient"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ctpdeploy.phantom import patient

    return getattr(patient, name)
