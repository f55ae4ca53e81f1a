"""Phantoms of another make, for tests of what was trained on the usual one: each changes one assumption."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ctpdeploy.errors import UnknownKeyError
from ctpdeploy.phantom.settings import PhantomConfig

__all__ = ["VARIANTS", "vary"]

VARIANTS: dict[str, Mapping[str, Any]] = {
    "mni": {"anatomy": "mni"},
    "exponential": {"residue": "exponential"},
    "box": {"residue": "box"},
    "motion": {"motion": 1.0},
    "low-dose": {"noise_sigma": 10.0},
    "white-noise": {"noise": "white"},
    "no-information-gap": {"info_gap": 0.0},
    "comorbid": {"emboli": 1.0, "leukoaraiosis": 1.0},
    "healthy": {"healthy": True},
}
"""What each changes, by name. Never train on any: it is what keeps them external."""


def vary(config: PhantomConfig, variant: str) -> PhantomConfig:
    """The configuration of a variant, otherwise as ``config``.

    Raises:
        UnknownKeyError: there is no variant of this name.
        MissingPackageError: its package is not installed.
    """
    if variant not in VARIANTS:
        raise UnknownKeyError(variant, VARIANTS, "the phantom's variants")
    return replace(config, **VARIANTS[variant])
