"""What was last warmed up for a bundle: inference takes that engine, and builds none beside it."""

from dataclasses import replace

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.build_options import Recipe, Target, choose_target
from ctpdeploy.runtime.backends.trt.engine_cache import EngineStore
from ctpdeploy.runtime.backends.trt.packages import Flavour, cuda_of, load
from ctpdeploy.runtime.backends.trt.warmup import key_of
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["keep_choice", "recipe_for"]


def keep_choice(bundle: Bundle, flavour: Flavour, recipe: Recipe, store: EngineStore) -> None:
    """Remember a recipe as the one to use for a bundle.

    Raises:
        UsageError: the cache cannot be written.
    """
    facts = {"slices": list(recipe.slices), "capabilities": list(recipe.target.capabilities)}
    store.write(_key(bundle, flavour), facts, b"")


def recipe_for(bundle: Bundle, flavour: Flavour, store: EngineStore) -> Recipe:
    """The recipe that was last warmed up, as far as it is for the GPU that is there; else the usual one for it.

    Raises:
        BackendError: the package is not there, or there is no GPU.
    """
    usual = Recipe(target=choose_target(flavour), precision=bundle.precision)
    try:
        entry = store.read(_key(bundle, flavour))
    except BackendError:  # touched by somebody: as good as none
        return usual
    if entry is None:
        return usual
    fewest, likely, most = entry.facts["slices"]
    capabilities = tuple(entry.facts["capabilities"])
    fits = not capabilities or set(usual.target.capabilities) <= set(capabilities)
    target = Target(capabilities=capabilities) if flavour.portable and fits else usual.target
    return replace(usual, target=target, slices=(fewest, likely, most))


def _key(bundle: Bundle, flavour: Flavour) -> str:
    """Of what an engine depends on, all that is not chosen."""
    fixed = {
        "onnx": bundle.networks[PIPELINE].sha256,
        "module": flavour.module,
        "version": load(flavour).__version__,
        "cuda": cuda_of(flavour),
    }
    return key_of({"choice_for": fixed})
