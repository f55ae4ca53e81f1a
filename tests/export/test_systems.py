"""Systems other than the source's own become bundles too, through the same gate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.learned import as_if_learned
from torch import nn

from ctpdeploy.errors import UsageError
from ctpdeploy.export import export_run
from ctpdeploy.export.fold import fold
from ctpdeploy.runtime import Bundle, Case, Pipeline, write_prediction
from ctpdeploy.train import TrainConfig, open_run, train
from ctpdeploy.train.networks.segmenters import SEGMENTERS, make_segmenter
from ctpdeploy.train.run_folder import RunFolder


@pytest.fixture(scope="module")
def config(trained_run: Path) -> TrainConfig:
    return replace(RunFolder(trained_run).config(), epochs=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "networks", "inputs", "outputs"),
    [
        ("fcn", {"segmenter"}, {"features"}, {"probability"}),
        ("unet", {"segmenter"}, {"features"}, {"probability"}),
        ("features_frames", {"segmenter"}, {"frames", "features"}, {"probability"}),
        ("dwi_o", {"generator", "segmenter"}, {"features"}, {"pseudo_dwi", "probability"}),
        (
            "maps_dwi_olh",
            {"extractor", "generator", "segmenter"},
            {"frames", "features"},
            {"extractor", "pseudo_dwi", "probability"},
        ),
    ],
)
def test_a_system_becomes_a_bundle_that_predicts_the_same(
    tmp_path: Path,
    phantom_folder: Path,
    phantom_case: Case,
    config: TrainConfig,
    system: str,
    networks: set[str],
    inputs: set[str],
    outputs: set[str],
):
    run, folder = tmp_path / "run", tmp_path / "x.ctpbundle"
    train(phantom_folder, run, replace(config, system=system))
    as_if_learned(run)
    export_run(run, folder, [phantom_case])
    bundle = Bundle.open(folder)
    assert bundle.networks.keys() == networks | {"pipeline"}
    assert bundle.networks["pipeline"].inputs.keys() == inputs
    assert bundle.networks["pipeline"].outputs.keys() == outputs
    assert bundle.system == system
    expected, got = open_run(run).predict(phantom_case), Pipeline.open(folder).predict(phantom_case)
    np.testing.assert_allclose(got.probability, expected.probability, atol=2e-4)
    assert (got.pseudo_dwi is None) == ("pseudo_dwi" not in outputs)
    written = write_prediction(tmp_path / "out", phantom_case, got)
    volumes = {file.name.split("_")[-1] for file in written.glob("*.nii.gz")}
    assert volumes == {"mask.nii.gz", "probseg.nii.gz"} | ({"dwi.nii.gz"} if "pseudo_dwi" in outputs else set())
    assert (written / "overview.png").stat().st_size > 10_000


def test_a_system_that_sees_the_real_dwi_is_not_exported(
    tmp_path: Path, phantom_folder: Path, phantom_case: Case, config: TrainConfig
):
    run = tmp_path / "run"
    train(phantom_folder, run, replace(config, system="unet_real_dwi"))
    with pytest.raises(UsageError, match="unet_real_dwi sees the real DWI"):
        export_run(run, tmp_path / "x.ctpbundle", [phantom_case])
    assert not (tmp_path / "x.ctpbundle").exists()
    assert open_run(run).predict(phantom_case).pseudo_dwi is None


@pytest.mark.parametrize("name", SEGMENTERS)
def test_every_segmenter_folds_exactly(name: str):
    torch.manual_seed(0)
    network = make_segmenter(name, 3, width=4, sn_momentum=0.9, sn_debias=True).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 3, 64, 64, dtype=torch.float64) + 1)
        network.eval()
        x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
        expected, got = network(x), fold(network)(x)
    np.testing.assert_allclose(got, expected, atol=1e-10 * float(expected.abs().max()))
    left = sum(isinstance(module, nn.BatchNorm2d) for module in fold(network).modules())
    assert left == (5 if name == "fcn" else 0), "FCN's stand behind a sum"
