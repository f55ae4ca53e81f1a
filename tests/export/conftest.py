from pathlib import Path

import onnx
import pytest
from support.bundles import ROLES

from ctpdeploy.export.int8 import Calibration
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.gate.gate import reference_of


@pytest.fixture(scope="module")
def graphs(bundle_folder: Path) -> dict[str, onnx.ModelProto]:
    return {role: onnx.load(bundle_folder / f"{role}.onnx") for role in ROLES}


@pytest.fixture(scope="module")
def calibration(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    with Bundle.open(bundle_folder) as bundle:
        wiring = {role: tuple(bundle.networks[role].sees) for role in ROLES}
        return Calibration(reference_of(bundle), wiring, tmp_path_factory.mktemp("ranges"))
