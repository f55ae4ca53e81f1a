"""TensorRT and TensorRT-RTX: engines built from bundles, proved, kept on the machine that built them, and run there.

Neither package is imported before an engine is asked for.
"""

from ctpdeploy.runtime.trt.choice import keep_choice, recipe_for
from ctpdeploy.runtime.trt.engines import WarmEngine, warm_up
from ctpdeploy.runtime.trt.flavour import FLAVOURS, Flavour, choose_flavour, unavailable_because
from ctpdeploy.runtime.trt.recipe import Recipe, Target, choose_target
from ctpdeploy.runtime.trt.store import EngineStore, user_store

__all__ = [
    "FLAVOURS",
    "EngineStore",
    "Flavour",
    "Recipe",
    "Target",
    "WarmEngine",
    "choose_flavour",
    "choose_target",
    "keep_choice",
    "recipe_for",
    "unavailable_because",
    "user_store",
    "warm_up",
]
