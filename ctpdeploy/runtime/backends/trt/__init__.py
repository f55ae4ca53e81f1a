"""TensorRT and TensorRT-RTX: engines built from bundles, proved, kept on the machine that built them, and run there.

Neither package is imported before an engine is built or opened.
"""

from ctpdeploy.runtime.backends.trt.build_options import BuildOptions, Target, choose_target
from ctpdeploy.runtime.backends.trt.engine_cache import EngineCache, user_engine_cache
from ctpdeploy.runtime.backends.trt.last_warmup import last_build_options, remember_build_options
from ctpdeploy.runtime.backends.trt.packages import (
    TENSORRT_PACKAGES,
    TensorRTPackage,
    choose_package,
    unavailable_because,
)
from ctpdeploy.runtime.backends.trt.warmup import WarmEngine, warm_up

__all__ = [
    "TENSORRT_PACKAGES",
    "BuildOptions",
    "EngineCache",
    "Target",
    "TensorRTPackage",
    "WarmEngine",
    "choose_package",
    "choose_target",
    "last_build_options",
    "remember_build_options",
    "unavailable_because",
    "user_engine_cache",
    "warm_up",
]
