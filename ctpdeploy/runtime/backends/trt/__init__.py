"""TensorRT and TensorRT-RTX: engines built from bundles, proved, kept on the machine that built them, and run there.

Neither package is imported before an engine is asked for.
"""

from ctpdeploy.runtime.backends.trt.build_options import Recipe, Target, choose_target
from ctpdeploy.runtime.backends.trt.engine_cache import EngineStore, user_store
from ctpdeploy.runtime.backends.trt.last_warmup import keep_choice, recipe_for
from ctpdeploy.runtime.backends.trt.packages import FLAVOURS, Flavour, choose_flavour, unavailable_because
from ctpdeploy.runtime.backends.trt.warmup import WarmEngine, warm_up

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
