from types import ModuleType

import pytest
from support.small_networks import INPUTS, OUTPUTS, fp16_network, fp32_network, int8_network

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, BuildOptions, Target, choose_target
from ctpdeploy.runtime.backends.trt.build import build
from ctpdeploy.runtime.backends.trt.parse import ParsedNetwork, parse


def parsed(trt: ModuleType, content: bytes) -> ParsedNetwork:
    return parse(trt, content, inputs=INPUTS, outputs=OUTPUTS)


def quiet(text: str, share: float) -> None: ...


@pytest.mark.parametrize("network", [fp32_network, fp16_network, int8_network])
@pytest.mark.parametrize("capabilities", [(), ("8.6",), ("8.6", "8.9", "12.0"), ("7.5",)])
def test_engines_are_built_without_a_gpu(trt: ModuleType, network, capabilities: tuple[str, ...]):  # noqa: ANN001
    plan = build(parsed(trt, network()), BuildOptions(target=Target(capabilities=capabilities)), quiet)
    assert len(plan.engine) > 10_000
    assert plan.timings is None


def test_what_the_engine_is_for_is_in_it(trt: ModuleType):
    targets = [Target(), Target(capabilities=("8.6",)), Target(capabilities=("8.9",))]
    engines = {build(parsed(trt, fp32_network()), BuildOptions(target=target), quiet).engine for target in targets}
    assert len(engines) == len(targets)


@pytest.mark.parametrize("capability", ["9.0", "6.1", "99.9"])
def test_a_gpu_that_the_package_does_not_know_is_named(trt: ModuleType, capability: str):
    with pytest.raises(BackendError, match=rf"compute capability {capability}: choose from 7\.5, 8\.0"):
        build(parsed(trt, fp32_network()), BuildOptions(target=Target(capabilities=("8.6", capability))), quiet)


def test_a_refusal_carries_what_was_logged(trt: ModuleType, monkeypatch: pytest.MonkeyPatch):
    network = parsed(trt, fp32_network())
    monkeypatch.setattr("ctpdeploy.runtime.backends.trt.build._add_profile", lambda *_: None)
    with pytest.raises(
        BackendError, match=r"tensorrt_rtx .* builds no engine: .*no optimization profile has been defined"
    ):
        build(network, BuildOptions(target=Target()), quiet)


def test_float32_is_not_thinned_to_ten_bits(trt: ModuleType, monkeypatch: pytest.MonkeyPatch):
    network, configs = parsed(trt, fp32_network()), []
    monkeypatch.setattr(
        "ctpdeploy.runtime.backends.trt.build._add_profile", lambda _, config, __: configs.append(config)
    )
    with pytest.raises(BackendError):
        build(network, BuildOptions(target=Target()), quiet)
    assert network.builder.create_builder_config().get_flag(trt.BuilderFlag.TF32), "the default has changed"
    assert not configs[0].get_flag(trt.BuilderFlag.TF32)


def test_an_engine_never_allocates_in_a_run(trt: ModuleType, monkeypatch: pytest.MonkeyPatch):
    network, configs = parsed(trt, fp32_network()), []
    monkeypatch.setattr(
        "ctpdeploy.runtime.backends.trt.build._add_profile", lambda _, config, __: configs.append(config)
    )
    with pytest.raises(BackendError):
        build(network, BuildOptions(target=Target()), quiet)
    assert configs[0].get_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)


def test_progress_rises_to_one(trt: ModuleType):
    seen: list[tuple[str, float]] = []
    build(parsed(trt, fp32_network()), BuildOptions(target=Target()), lambda text, share: seen.append((text, share)))
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.2
    assert shares[-1] == 1
    assert len(set(shares)) > 10
    assert all(text for text, _ in seen)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("the terminal is gone")])
def test_an_exception_in_the_callback_stops_the_build(trt: ModuleType, error: BaseException):
    calls: list[str] = []

    def fail(text: str, _: float) -> None:
        calls.append(text)
        raise error

    with pytest.raises(type(error)):
        build(parsed(trt, fp32_network()), BuildOptions(target=Target()), fail)
    assert len(calls) < 20


@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
def test_timings_are_taken_and_given_back(trt: ModuleType):
    """TensorRT-RTX has these calls too, where they do nothing."""
    first = build(parsed(trt, fp32_network()), BuildOptions(target=Target()), quiet, timings=b"")
    assert first.timings
    assert build(parsed(trt, fp32_network()), BuildOptions(target=Target()), quiet, timings=first.timings).timings


@pytest.mark.parametrize("slices", [(0, 1, 2), (2, 1, 4), (1, 8, 4)])
def test_slices_that_do_not_rise_are_refused(slices: tuple[int, int, int]):
    with pytest.raises(UsageError, match="do not rise from 1"):
        BuildOptions(target=Target(), slices=slices)


def test_an_unknown_precision_is_refused():
    with pytest.raises(UsageError, match="no precision 'bf16': choose fp32, fp16, int8"):
        BuildOptions(target=Target(), precision="bf16")


ADA = Driver(cuda="13.0", gpus=(Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=8 << 30),))


def test_target_is_the_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctpdeploy.runtime.backends.trt.build_options.probe", lambda: ADA)
    assert choose_target(TENSORRT_PACKAGES["tensorrt-rtx"]) == Target(capabilities=("8.9",))
    assert choose_target(TENSORRT_PACKAGES["tensorrt-rtx"], ()) == Target()
    assert choose_target(TENSORRT_PACKAGES["tensorrt-rtx"], ("8.9", "8.6", "8.9")) == Target(
        capabilities=("8.6", "8.9")
    )
    assert choose_target(TENSORRT_PACKAGES["tensorrt"]) == Target(gpu=ADA.gpus[0], cuda="13.0")
    with pytest.raises(UsageError, match="tensorrt builds for the GPU that is there"):
        choose_target(TENSORRT_PACKAGES["tensorrt"], ("8.6",))


def test_without_a_driver_only_the_portable_package_has_a_target(monkeypatch: pytest.MonkeyPatch):
    def no_driver() -> Driver:
        raise BackendError("There is no NVIDIA driver")

    monkeypatch.setattr("ctpdeploy.runtime.backends.trt.build_options.probe", no_driver)
    assert choose_target(TENSORRT_PACKAGES["tensorrt-rtx"]) == Target()
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        choose_target(TENSORRT_PACKAGES["tensorrt"])
