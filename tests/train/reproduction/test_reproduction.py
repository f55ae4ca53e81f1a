"""Every row of the source's tables trains and is measured by the columns of its table."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.training import StopError, stop

from ctpdeploy.errors import InputError, UnknownKeyError, UsageError
from ctpdeploy.paper.published import Cell, published_table
from ctpdeploy.paper.systems import ENSEMBLES, SYSTEMS, TABLES
from ctpdeploy.runtime.cohort.case_score import brain_of
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.runtime.metrics.average_precision import average_precision
from ctpdeploy.train import TrainConfig, open_run, train
from ctpdeploy.train.reproduction import Reproduction
from ctpdeploy.train.reproduction.comparison import beside, compare
from ctpdeploy.train.reproduction.folds import read_folds
from ctpdeploy.train.run_folder import RunFolder


@pytest.fixture(scope="module")
def reproduction(data: Path, tmp_path_factory: pytest.TempPathFactory, config: TrainConfig) -> Reproduction:
    """All systems and ensembles for two epochs on two patients; a third one validates, a fourth one tests."""
    work = Reproduction(
        data=data, out=tmp_path_factory.mktemp("reproduction") / "out", config=replace(config, epochs=2)
    )
    for name in (*SYSTEMS, *ENSEMBLES):
        work.run(name, seed=0)
    return work


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_row_yields_the_columns_of_its_table(reproduction: Reproduction, table: int) -> None:
    measured, published = reproduction.measured(table), published_table(table)
    assert list(measured) == list(TABLES[table])
    for row, own in measured.items():
        assert list(own.cells) == list(published.columns)
        assert (own.scans, own.seeds) == (1, 1)
        for column, printed in published.rows[row].cells.items():
            cell = own.cells[column]
            if printed is None:
                assert cell is None, "no image is measured where the source has none"
            elif column not in ("hd_mm", "assd_mm"):  # undefined where barely trained networks find nothing
                assert cell is not None
                assert np.isfinite(cell.mean)


@pytest.mark.slow
def test_nothing_but_the_published_column_comes_from_the_source(
    reproduction: Reproduction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other printed figures change the published lines and the differences, and nothing else."""
    header, lines = compare(5, reproduction.measured(5))
    table = published_table(5)
    moved = {
        row: replace(line, cells={c: cell and Cell(mean=cell.mean + 1, std=7.0) for c, cell in line.cells.items()})
        for row, line in table.rows.items()
    }
    for module in ("comparison", "reproduction"):
        monkeypatch.setattr(
            f"ctpdeploy.train.reproduction.{module}.published_table",
            lambda _: replace(table, rows=moved),
            raising=False,
        )
    other_header, other = compare(5, reproduction.measured(5))
    assert other_header == header
    for line, changed in zip(lines, other, strict=True):
        assert (line == changed) is line[1].startswith("measured")


@pytest.mark.slow
def test_table_file_holds_every_figure(reproduction: Reproduction) -> None:
    reproduction.measured(3)
    rows = list(csv.DictReader((reproduction.out / "table-3.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 7 * 6
    dice = next(row for row in rows if (row["row"], row["column"]) == ("slnet", "dice_pct"))
    summary = json.loads((reproduction.folder("slnet", 0) / "evaluation/summary.json").read_text())
    assert float(dice["measured"]) == pytest.approx(100 * summary["networks"]["dice"]["mean"])
    assert (dice["published"], dice["published_std"]) == ("54.45", "21.23")
    parameters = next(row for row in rows if (row["row"], row["column"]) == ("unet", "params_m"))
    assert float(parameters["measured"]) == pytest.approx(0.1219, rel=0.01), "those of width 4, not the printed ones"


@pytest.mark.slow
def test_what_is_done_is_not_done_again(reproduction: Reproduction) -> None:
    before = {file: file.stat().st_mtime_ns for file in reproduction.out.rglob("*.json")}
    reproduction.run("dwi_o", seed=0)
    assert before == {file: file.stat().st_mtime_ns for file in reproduction.out.rglob("*.json")}
    with pytest.raises(UsageError, match="another configuration"):
        replace(reproduction, config=replace(reproduction.config, epochs=3)).run("dwi_o", seed=0)


def test_a_reproduction_goes_on_where_it_stopped(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1))
    with pytest.raises(StopError):
        work.run("unet", 0, on_progress=stop)  # before there is a run folder
    with pytest.raises(StopError):
        work.run("unet", 0, on_case=stop)  # trained, not evaluated
    assert work.summary("unet", 0) is None
    work.run("unet", 0)
    assert work.summary("unet", 0) is not None
    split = json.loads((work.folder("unet", 0) / "split.json").read_text())
    assert [len(split[part]) for part in ("train", "validation", "test")] == [2, 1, 1]


@pytest.mark.parametrize(("named", "expected"), [(None, "cuda"), ("cpu", "cpu")])
def test_a_run_is_evaluated_where_it_was_trained(
    data: Path, tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, named: str | None, expected: str
) -> None:
    """On a GPU by default, if there is one; here it is but a name."""
    used = []

    def train_elsewhere(*arguments: object, device: str, **options: object) -> object:
        used.append(device)
        return train(*arguments, device="cpu", **options)  # type: ignore[arg-type]

    def open_elsewhere(folder: Path, device: str) -> object:
        used.append(device)
        return open_run(folder, device="cpu")

    monkeypatch.setattr("ctpdeploy.train.reproduction.reproduction.default_device", lambda: "cuda")
    monkeypatch.setattr("ctpdeploy.train.reproduction.reproduction.train", train_elsewhere)
    monkeypatch.setattr("ctpdeploy.train.reproduction.reproduction.open_run", open_elsewhere)
    Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), device=named).run("unet", 0)
    assert used == [expected, expected]


def test_seeds_share_the_split_and_are_averaged(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), seeds=(0, 1))
    for seed in work.seeds:
        work.run("wce_hgd", seed)
    splits = {(work.folder("wce_hgd", seed) / "split.json").read_text() for seed in work.seeds}
    assert len(splits) == 1
    own = work.measured(4)["wce_hgd"]
    summaries = [work.summary("wce_hgd", seed) for seed in work.seeds]
    dice = [100 * summary["networks"]["dice"]["mean"] for summary in summaries if summary]
    assert len(set(dice)) == 2, "other initial weights"
    cell = own.cells["dice_pct"]
    assert cell is not None
    assert cell.mean == pytest.approx(np.mean(dice))
    assert own.spread["dice_pct"] == pytest.approx(np.std(dice))
    assert (own.scans, own.seeds) == (1, 2)


def test_test_cases_in_a_folder_of_their_own(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    shutil.copytree(data / "case_1", tmp_path / "test/case_91")
    (series,) = (tmp_path / "test").rglob("*4DPWI*.nii")
    image = nib.load(series, mmap=False)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), None, image.header), series)  # another head
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), test=tmp_path / "test")
    work.run("fcn", 0)
    scores = json.loads((work.folder("fcn", 0) / "evaluation/scores.json").read_text())
    assert [score["case"] for score in scores] == ["case_91"]
    assert work.run_config("fcn", 0).validation_share == config.validation_share


def test_a_test_case_that_was_trained_on_is_refused_by_any_name(
    data: Path, tmp_path: Path, config: TrainConfig
) -> None:
    shutil.copytree(data / "case_1", tmp_path / "test/case_91")
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), test=tmp_path / "test")
    with pytest.raises(InputError, match=r"The test case case_91 is a scan that .*fcn/seed-0 has seen in training"):
        work.run("fcn", 0)
    assert work.summary("fcn", 0) is None


def test_folds_test_every_case_once(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), folds=2)
    with pytest.raises(StopError):
        work.run("fcn", 0, on_case=stop)  # the first fold is trained
    assert work.summary("fcn", 0) is None
    work.run("fcn", 0)
    splits = read_folds(work.out)
    assert sorted(case for split in splits for case in split.test) == [f"case_{number}" for number in range(1, 5)]
    for fold, split in enumerate(splits, start=1):
        run = work.folder("fcn", 0) / f"fold-{fold}"
        assert json.loads((run / "split.json").read_text())["train"] == list(split.train)
        scores = json.loads((run / "evaluation/scores.json").read_text())
        assert sorted(score["case"] for score in scores) == sorted(split.test)
    summary = work.summary("fcn", 0)
    assert summary is not None
    assert summary["cases"] == 4
    assert work.measured(3)["fcn"].scans == 4
    beside = work.beside(3)["fcn"]
    assert beside["ap"] == summary["networks"]["ap"]["mean"]
    assert beside["bias_ml"] == summary["volumes"]["networks"]["bias_ml"]
    before = {file: file.stat().st_mtime_ns for file in work.out.rglob("*.json")}
    work.run("fcn", 0)
    assert before == {file: file.stat().st_mtime_ns for file in work.out.rglob("*.json")}
    with pytest.raises(UsageError, match="another number of folds"):
        replace(work, folds=3).run("fcn", 0)
    with pytest.raises(UsageError, match="another number of folds"):
        replace(work, folds=0).run("fcn", 0)
    with pytest.raises(UsageError, match="leave --test or --folds out"):
        replace(work, test=data).run("fcn", 0)


def test_without_dwi_the_rows_that_need_one_are_left_out_and_named(
    data: Path, tmp_path: Path, config: TrainConfig
) -> None:
    bare = Path(shutil.copytree(data, tmp_path / "bare", ignore=shutil.ignore_patterns("*MR_DWI*")))
    work = Reproduction(data=bare, out=tmp_path / "out", config=config)
    rows, sentences = work.trainable(5)
    assert list(rows) == ["cta", "Fo"]
    assert len(sentences) == 6
    assert "None of the 4 cases has a DWI" in sentences[0]
    assert len(work.trainable(3)[0]) == 7
    assert list(work.trainable(6)[0]) == ["chen", "garcia"]
    with pytest.raises(InputError, match=r"has a DWI.*, which every row asked for is trained with"):
        work.trainable(5, ["dwi_o", "dwi_olh"])
    with pytest.raises(InputError, match="without it these can be: fcn, unet"):
        train(bare, tmp_path / "run", config)
    assert train(bare, tmp_path / "cta", replace(config, system="cta", epochs=1)).epochs == 1


def test_summaries_of_an_earlier_version_have_less_beside_them() -> None:
    earlier = {
        "networks": {"rve": {"mean": 1.0}, "dice": {"mean": 0.5}},
        "groups": {"small": {"networks": {"dice": {"mean": 0.2}}}},
    }
    now = {
        "networks": {"rve": {"median": 0.4}, "ap": {"mean": 0.7}, "abs_dv_ml": {"mean": 12.0}},
        "volumes": {"networks": {"bias_ml": -3.0}},
        "groups": {"small": {"networks": {"dice": {"mean": 0.4}}}},
    }
    expected = {"ap": 0.7, "abs_dv_ml": 12.0, "bias_ml": -3.0, "median_rve": 0.4, "dice_small": pytest.approx(0.3)}
    assert beside([earlier, now]) == expected
    assert beside([earlier]) == dict.fromkeys(expected) | {"dice_small": 0.2}


def test_unknown_tables_and_rows_are_refused(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=config)
    with pytest.raises(UsageError, match="There is no table 7 to train"):
        work.trainable(7)
    with pytest.raises(UnknownKeyError, match="did you mean 'dwi_olh'"):
        work.trainable(5, ["dwi_olhh"])


def test_an_ensemble_is_evaluated_on_the_mean_of_its_members(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1))
    for member, seed in ENSEMBLES["garcia"].runs(0)[:2]:
        work.run(member, seed)
    with pytest.raises(StopError):
        work.run("garcia", 0, on_progress=stop)  # the third member
    assert work.summary("garcia", 0) is None
    work.run("garcia", 0)
    runs = [work.folder("garcia_unet", seed) for seed in range(3)]
    assert [RunFolder(run).config().seed for run in runs] == [0, 1, 2]
    assert [folder.name for folder in sorted(work.out.iterdir())] == ["garcia", "garcia_unet"]
    split = RunFolder(runs[0]).split()
    (tested,) = (case for case in find_cases(data) if case.name in split.test)
    case = tested.read()
    apart = [open_run(run).predict(case).probability for run in runs]
    lesion = case.lesion
    assert lesion is not None
    scores = json.loads((work.folder("garcia", 0) / "evaluation/scores.json").read_text())
    own = average_precision(np.mean(apart, axis=0), lesion, brain_of(case) | lesion)
    assert [score["case"] for score in scores] == list(split.test)
    assert scores[0]["networks"]["ap"] == pytest.approx(own, rel=1e-5)


def test_an_ensemble_goes_on_and_is_of_the_runs_beside_it(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1))
    work.run("chen", 0)
    record = json.loads((work.folder("chen", 0) / "ensemble.json").read_text())
    assert list(record["members"]) == ["chen_unet/seed-0", "chen_r2unet/seed-0", "chen_seunet/seed-0"]
    assert record["calibration"]["cases"] == 1
    before = {file: file.stat().st_mtime_ns for file in work.out.rglob("*.json")}
    work.run("chen", 0)
    assert before == {file: file.stat().st_mtime_ns for file in work.out.rglob("*.json")}
    measured = work.measured(6)
    assert list(measured) == ["chen"]
    assert measured["chen"].scans == 1
    rows = list(csv.DictReader((work.out / "table-6.csv").read_text(encoding="utf-8").splitlines()))
    assert {(row["row"], row["column"], row["derived"]) for row in rows} == {
        ("chen", column, "yes") for column in ("dice", "precision", "recall")
    }
    other = replace(work, config=replace(config, epochs=2))
    with pytest.raises(UsageError, match=r"chen_unet/seed-0 was made with another configuration"):
        other.run("chen", 0)
    for member, seed in ENSEMBLES["chen"].runs(0):
        shutil.rmtree(work.folder(member, seed))
    with pytest.raises(UsageError, match=r"chen/seed-0 was made of other runs"):
        other.run("chen", 0)


def test_folds_of_an_ensemble_are_those_of_its_members(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=replace(config, epochs=1), folds=2)
    work.run("garcia", 0)
    for fold, split in enumerate(read_folds(work.out), start=1):
        scores = json.loads((work.folder("garcia", 0) / f"fold-{fold}/evaluation/scores.json").read_text())
        assert [score["case"] for score in scores] == list(split.test)
        record = json.loads((work.folder("garcia", 0) / f"fold-{fold}/ensemble.json").read_text())
        assert list(record["members"]) == [f"garcia_unet/seed-{seed}/fold-{fold}" for seed in range(3)]
    assert work.measured(6)["garcia"].scans == 4


def test_what_no_text_defines_is_left_out_with_a_sentence(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    work = Reproduction(data=data, out=tmp_path / "out", config=config)
    for rows in ((), ("ours", "liu", "chen", "hu", "garcia")):
        chosen, sentences = work.trainable(6, rows)
        assert chosen == {"ours": "dwi_olh", "liu": "liu", "chen": "chen", "garcia": "garcia"}
        assert len(sentences) == 1
        assert sentences[0].startswith("Row hu is left out: the source names a multi-level 3D refinement module")
    assert work.trainable(6, ["liu"])[1] == ()
    with pytest.raises(UsageError, match=r"Row hu is left out: .* nor the steps of the other\."):
        work.trainable(6, ["hu"])
