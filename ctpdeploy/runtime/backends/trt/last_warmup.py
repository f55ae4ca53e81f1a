"""The build options last warmed up for a bundle, so that inference takes that engine and builds none beside it."""

from dataclasses import replace

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.build_options import BuildOptions, Target, choose_target
from ctpdeploy.runtime.backends.trt.engine_cache import EngineCache
from ctpdeploy.runtime.backends.trt.packages import TensorRTPackage, cuda_of, load
from ctpdeploy.runtime.backends.trt.warmup import key_of
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["last_build_options", "remember_build_options"]


def remember_build_options(bundle: Bundle, package: TensorRTPackage, options: BuildOptions, cache: EngineCache) -> None:
    """Remember build options as those to use for a bundle.

    Raises:
        UsageError: the cache cannot be written.
    """
    facts = {"slices": list(options.slices), "capabilities": list(options.target.capabilities)}
    cache.write(_key(bundle, package), facts, b"")


def last_build_options(bundle: Bundle, package: TensorRTPackage, cache: EngineCache) -> BuildOptions:
    """The options last warmed up, as far as they are for the GPU that is there; else the usual ones for it.

    Raises:
        BackendError: the package is not there, or there is no GPU.
    """
    usual = BuildOptions(target=choose_target(package), precision=bundle.precision)
    try:
        entry = cache.read(_key(bundle, package))
    except BackendError:  # altered by hand: as good as none
        return usual
    if entry is None:
        return usual
    fewest, likely, most = entry.facts["slices"]
    capabilities = tuple(entry.facts["capabilities"])
    fits = not capabilities or set(usual.target.capabilities) <= set(capabilities)
    target = Target(capabilities=capabilities) if package.portable and fits else usual.target
    return replace(usual, target=target, slices=(fewest, likely, most))


def _key(bundle: Bundle, package: TensorRTPackage) -> str:
    """Of what an engine depends on, all that is not chosen."""
    fixed = {
        "onnx": bundle.networks[PIPELINE].sha256,
        "module": package.module,
        "version": load(package).__version__,
        "cuda": cuda_of(package),
    }
    return key_of({"choice_for": fixed})
