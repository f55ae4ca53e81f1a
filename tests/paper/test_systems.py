import pytest

from ctpdeploy.errors import UnknownKeyError, UsageError
from ctpdeploy.paper.published import published_table
from ctpdeploy.paper.systems import ENSEMBLES, SYSTEMS, TABLES, UNDEFINED, row_named, system_named
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks.chain import OUTPUTS


def test_thirty_five_systems_fill_the_rows_of_six_tables() -> None:
    assert len(SYSTEMS) == 36
    behind = {name for rows in TABLES.values() for name in rows.values()}
    members = {member for name in behind & set(ENSEMBLES) for member in ENSEMBLES[name].members}
    assert (behind - set(ENSEMBLES)) | members == set(SYSTEMS) - {"features_frames"}
    assert not set(SYSTEMS) & set(ENSEMBLES), "both are names of folders"
    assert {number: len(rows) for number, rows in TABLES.items()} == {1: 7, 2: 5, 3: 7, 4: 6, 5: 8, 6: 4}
    for number, rows in TABLES.items():
        assert list(rows) == [row for row in published_table(number).rows if row not in UNDEFINED.get(number, {})]


def test_table_6_is_what_the_texts_say_of_it() -> None:
    liu = SYSTEMS["liu"]
    assert liu.wiring == {"generator": ("maps",), "segmenter": ("pseudo_dwi",)}
    assert liu.synthesis is not None
    assert (liu.synthesis.loss, liu.loss, liu.augmented) == (("l2", "gan"), ("wce", "gd"), True)
    for name, ensemble in ENSEMBLES.items():
        systems = [SYSTEMS[member] for member in ensemble.members]
        assert len(systems) == 3
        assert {system.sees for system in systems} == {("maps",)}
        assert not ensemble.needs_dwi
        assert {(system.augmented, system.patches) for system in systems} == {(name == "chen", name == "garcia")}
    assert len({SYSTEMS[member].segmenter for member in ENSEMBLES["chen"].members}) == 3
    derived = {(table, row) for table, rows in TABLES.items() for row, name in rows.items() if row_named(name).derived}
    assert derived == {(3, "resunet"), (6, "liu"), (6, "chen"), (6, "garcia")}


def test_no_two_seeds_of_an_ensemble_share_a_run() -> None:
    garcia = ENSEMBLES["garcia"]
    assert garcia.runs(1) == (("garcia_unet", 3), ("garcia_unet", 4), ("garcia_unet", 5))
    runs = [run for seed in range(4) for run in garcia.runs(seed)]
    assert len(set(runs)) == 12
    assert ENSEMBLES["chen"].runs(2) == (("chen_unet", 2), ("chen_r2unet", 2), ("chen_seunet", 2))


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
