import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from support.small_networks import fp16_network, fp32_network

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.cuda.driver import Gpu
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, BuildOptions, EngineCache, Target, warm_up, warmup
from ctpdeploy.runtime.backends.trt.build import BuildResult
from ctpdeploy.runtime.backends.trt.warmup import ingredients, key_of

RTX = TENSORRT_PACKAGES["tensorrt-rtx"]
OPTIONS = BuildOptions(target=Target(), slices=(1, 2, 4))
MakeBundle = Callable[[bytes], SimpleNamespace]


def quiet(text: str, share: float) -> None: ...


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines", b"s" * 32)


@pytest.fixture
def never_built(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, a build is an error."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an engine was built")

    return lambda: monkeypatch.setattr(warmup, "build", fail)


def test_the_pipeline_of_a_bundle_is_proved_built_and_kept(
    trt: ModuleType, bundle_folder: Path, cache: EngineCache, never_built: Callable[[], None]
):
    bundle = Bundle.open(bundle_folder)
    warm = warm_up(bundle, RTX, OPTIONS, cache, quiet)
    assert warm.built
    assert warm.rebuilt_because is None
    layers = warm.entry.facts["layers"]
    assert all(set(counts) == {"FLOAT"} for counts in layers.values())
    assert layers["CONVOLUTION"]["FLOAT"] > 50
    assert layers["DECONVOLUTION"]["FLOAT"] == 12
    assert layers["REDUCE"]["FLOAT"] > 50
    assert set(warm.entry.facts["seconds"]) == {"parse", "build"}
    assert warm.entry.facts["ingredients"]["version"] == trt.__version__
    never_built()
    again = warm_up(bundle, RTX, OPTIONS, cache, quiet)
    assert not again.built
    assert again.entry == warm.entry
    with pytest.raises(AssertionError, match="was built"):
        warm_up(bundle, RTX, replace(OPTIONS, slices=(1, 2, 5)), cache, quiet)


@pytest.mark.usefixtures("trt")
def test_the_same_graph_with_other_weights_is_another_engine(cache: EngineCache, small_bundle: MakeBundle):
    one, other = (warm_up(small_bundle(fp32_network(seed)), RTX, OPTIONS, cache, quiet) for seed in (0, 1))
    assert other.built
    assert one.entry.file != other.entry.file
    assert one.entry.content != other.entry.content


@pytest.mark.usefixtures("trt")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"),
        lambda file: file.chmod(0o666),
        lambda file: EngineCache(file.parent, b"x" * 32).write(file.stem, {}, b"foreign"),
    ],
)
def test_an_entry_that_somebody_touched_is_built_again(
    cache: EngineCache, small_bundle: MakeBundle, spoil: Callable[[Path], None], never_built: Callable[[], None]
):
    bundle = small_bundle(fp32_network())
    first = warm_up(bundle, RTX, OPTIONS, cache, quiet)
    spoil(first.entry.file)
    second = warm_up(bundle, RTX, OPTIONS, cache, quiet)
    assert second.built
    assert f"{first.entry.file} is not used, because" in second.rebuilt_because
    assert second.entry.content == first.entry.content
    never_built()
    assert not warm_up(bundle, RTX, OPTIONS, cache, quiet).built


@pytest.mark.usefixtures("trt")
def test_a_network_in_half_is_not_kept_as_float32(cache: EngineCache, small_bundle: MakeBundle):
    bundle = small_bundle(fp16_network())
    with pytest.raises(BackendError, match=r"not fp32.*1 CONVOLUTION HALF"):
        warm_up(bundle, RTX, OPTIONS, cache, quiet)
    assert not list(cache.file("x").parent.glob("*"))
    assert warm_up(bundle, RTX, replace(OPTIONS, precision="fp16"), cache, quiet).built


GPU = Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=8 << 30)


def key(
    *, onnx: bytes = b"network", version: str = "1.7.1", package: str = "tensorrt-rtx", options: BuildOptions = OPTIONS
) -> str:
    return key_of(ingredients(SimpleNamespace(__version__=version), TENSORRT_PACKAGES[package], onnx, options))


def for_target(**parts: object) -> str:
    return key(options=replace(OPTIONS, target=Target(**parts)))


def test_the_key_changes_with_each_ingredient(monkeypatch: pytest.MonkeyPatch):
    keys = [
        key(),
        key(onnx=b"networc"),
        key(version="1.7.2"),
        key(package="tensorrt"),
        key(options=replace(OPTIONS, slices=(1, 2, 5))),
        key(options=replace(OPTIONS, slices=(1, 3, 4))),
        key(options=replace(OPTIONS, slices=(2, 2, 4))),
        key(options=replace(OPTIONS, precision="fp16")),
        key(options=replace(OPTIONS, optimisation_level=4)),
        for_target(capabilities=("8.6",)),
        for_target(capabilities=("8.6", "8.9")),
        for_target(gpu=GPU, cuda="13.0"),
        for_target(gpu=GPU, cuda="13.1"),
        for_target(gpu=replace(GPU, name="RTX 5000 Ada"), cuda="13.0"),
        for_target(gpu=replace(GPU, compute_capability="12.0"), cuda="13.0"),
    ]
    monkeypatch.setattr(warmup, "cuda_of", lambda _: "14")
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == key()


@pytest.mark.usefixtures("trt")
def test_timings_are_kept_beside_the_engines_of_a_gpu(
    cache: EngineCache, small_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
):
    """Only TensorRT measures; here its place is taken by the other package and a builder that writes down."""
    given: list[bytes | None] = []

    monkeypatch.setattr(
        warmup, "build", lambda *_, timings: given.append(timings) or BuildResult(engine=b"engine", timings=b"measured")
    )
    measuring = replace(RTX, portable=False)
    for slices in ((1, 2, 4), (1, 2, 5)):
        warm_up(small_bundle(fp32_network()), measuring, replace(OPTIONS, slices=slices), cache, quiet)
    other_gpu = replace(OPTIONS, target=Target(gpu=GPU, cuda="13.0"))
    warm_up(small_bundle(fp32_network()), measuring, other_gpu, cache, quiet)
    assert given == [b"", b"measured", b""]
    for file in cache.file("x").parent.iterdir():
        file.write_bytes(b"damaged")
    warm_up(small_bundle(fp32_network()), measuring, OPTIONS, cache, quiet)
    assert given[-1] == b""


@pytest.mark.usefixtures("trt")
def test_two_processes_that_build_the_same_leave_one_whole_engine(bundle_folder: Path, cache: EngineCache):
    code = (
        "import sys, pathlib\nfrom ctpdeploy.runtime import Bundle\n"
        "from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, EngineCache, BuildOptions, Target, warm_up\n"
        "cache = EngineCache(pathlib.Path(sys.argv[2]), b's' * 32)\n"
        "options = BuildOptions(target=Target(), slices=(1, 2, 4))\n"
        "bundle = Bundle.open(pathlib.Path(sys.argv[1]))\n"
        "print(warm_up(bundle, TENSORRT_PACKAGES['tensorrt-rtx'], options, cache, lambda *_: None).built)"
    )
    folder = cache.file("x").parent
    command = [sys.executable, "-c", code, str(bundle_folder), str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate()[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "True" in answers
    assert len(list(folder.iterdir())) == 1
    assert not warm_up(Bundle.open(bundle_folder), RTX, OPTIONS, cache, quiet).built
