import pytest

from ctpdeploy.errors import UnknownKeyError, UsageError
from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import SYSTEMS, TABLES, system_named
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks.chain import OUTPUTS


def test_thirty_systems_fill_the_rows_of_five_tables() -> None:
    assert len(SYSTEMS) == 31
    assert {system for rows in TABLES.values() for system in rows.values()} == set(SYSTEMS) - {"features_frames"}
    assert {number: len(rows) for number, rows in TABLES.items()} == {1: 7, 2: 5, 3: 7, 4: 6, 5: 8}
    for number, rows in TABLES.items():
        assert list(rows) == list(published_table(number).rows)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_network_sees_what_is_there_and_every_network_learns_once_at_least(name: str) -> None:
    system = SYSTEMS[name]
    known = {"frames", "features", "maps", "dwi"}
    for role, sees in system.wiring.items():
        assert set(sees) <= known
        known.add(OUTPUTS[role])
    assert {role for stage in system.stages for role in stage} == set(system.wiring)
    assert "segmenter" in system.stages[-1]


@pytest.mark.parametrize(
    ("row", "extractor", "generator", "segmenter"),
    [
        # parameters of dossier-checked full-width networks: Phi_e 6->1, Phi_g, SLNet or UNet with 2 classes
        ("dwi_olh", 31_045_249, 31_045_249, 33_839_982),
        ("dwi_ol", None, 31_044_673, 33_839_982),
        ("dwi_o", None, 31_044_097, 33_839_982),
        ("maps_dwi_olh", 31_045_249, 31_045_249, 33_842_286),
        ("cta", None, None, 33_842_862),
        ("wce_hgd", None, None, 33_841_710),
        ("unet", None, None, 31_044_162),
    ],
)
def test_networks_of_a_system_have_the_channels_that_it_names(
    row: str, extractor: int | None, generator: int | None, segmenter: int
) -> None:
    import torch

    with torch.device("meta"):
        chain = make_chain(SYSTEMS[row], TrainConfig())
    counts = {role: sum(p.numel() for p in network.parameters()) for role, network in chain.named_children()}
    expected = {"extractor": extractor, "generator": generator, "segmenter": segmenter}
    assert counts == {role: count for role, count in expected.items() if count is not None}


def test_the_sources_own_system_is_the_default() -> None:
    system = system_named(TrainConfig().system)
    assert system.stages == (("extractor", "generator", "segmenter"),)
    assert system.wiring == {
        "extractor": ("frames",),
        "generator": ("features", "extractor"),
        "segmenter": ("pseudo_dwi",),
    }
    assert system.loss == ("wce", "hgd")


def test_unknown_systems_and_tables_are_named() -> None:
    with pytest.raises(UnknownKeyError, match="did you mean 'resunet'"):
        TrainConfig(system="resnet")
    with pytest.raises(UsageError, match="no table 7"):
        published_table(7)
