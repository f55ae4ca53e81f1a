"""What the tests share: small synthetic patients, a run trained on them, and its bundle, each made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.learned import as_if_learned
from support.shared import made_once

from ctpdeploy.config import merge
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Case, read_case

pytest_plugins = ["support.emulated_device"]

SIZE = 64

# how long an example takes says something of the machine and nothing of the code
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is read from or written to the user's caches and trusted keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        patch.setenv("XDG_CONFIG_DIRS", str(tmp_path_factory.mktemp("machine")))
        patch.delenv("CTPDEPLOY_CACHE", raising=False)
        yield


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients of 64 x 64 x 2 voxels and 20 frames."""
    folder = tmp_path_factory.mktemp("phantom")
    write_dataset(folder, cases=4, seed=7, config=PhantomConfig(size=SIZE, slices=2, frames=20))
    return folder


@pytest.fixture(scope="session")
def phantom_case(phantom_folder: Path) -> Case:
    return read_case(phantom_folder / "case_1")


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory, phantom_folder: Path) -> Path:
    """A run of two epochs at width 4, one for all workers: no test may change it."""
    from ctpdeploy.train import PRESETS, train

    whole = {"slice_shape": [SIZE, SIZE], "pixel_mm": 0.0}
    config = merge(PRESETS["tiny"], {"width": 4, "epochs": 2, "preprocess": whole})

    def make(run: Path) -> None:
        train(phantom_folder, run, config)
        as_if_learned(run)

    return made_once(tmp_path_factory, "trained_run", make)


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory, trained_run: Path, phantom_case: Case) -> Path:
    """The bundle of that run, likewise."""
    from ctpdeploy.export import export_run

    return made_once(
        tmp_path_factory, "small.ctpbundle", lambda bundle: export_run(trained_run, bundle, [phantom_case])
    )
