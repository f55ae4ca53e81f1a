"""All figures of a reproduction: what is drawn of whatever was trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, InputError
from ctpdeploy.runtime.data.origin import PHANTOM
from ctpdeploy.train.reproduction.figures import draw_figures

MakeRuns = Callable[..., Path]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What would have been written."""
    kept: list[Figure] = []
    monkeypatch.setattr("ctpdeploy.train.reproduction.figures.drawing.save_page", lambda figure, _: kept.append(figure))
    return kept


def test_each_figure_holds_what_was_trained_in_the_order_of_its_table(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path
):
    reproduction = make_reproduction("real_dwi", "wce_hgd", "slnet", "fcn", "wl2_lh1")
    done = []
    drawing = draw_figures(reproduction, data, tmp_path / "out", on_prediction=lambda *count: done.append(count))
    assert {figure: drawn.rows for figure, drawn in drawing.drawn.items()} == {
        3: (),
        6: ("wl2_lh1",),
        7: ("Fo",),
        8: ("fcn", "slnet"),
        9: ("Fo", "real_dwi"),
        10: ("Fo", "real_dwi"),
    }
    cases = ("case_2", "case_3", "case_4")
    assert [drawn.cases for drawn in drawing.drawn.values()] == [cases[:2], *[cases] * 4, ()]
    assert done == [(n, 15) for n in range(1, 16)]  # five systems, one of them in two figures, three cases
    assert len(drawing.remarks) == 1
    assert all(case in drawing.remarks[0] for case in cases)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"fig-{n}.png" for n in drawing.drawn)
    for drawn in drawing.drawn.values():
        with Image.open(drawn.file) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300


@pytest.mark.usefixtures("pages")
def test_a_figure_of_which_nothing_is_trained_is_named(make_reproduction: MakeRuns, data: Path, tmp_path: Path):
    done = []
    reproduction = make_reproduction("dice")  # of table 4, which no figure shows
    drawing = draw_figures(reproduction, data, tmp_path / "out", on_prediction=lambda *count: done.append(count))
    assert done == []
    assert list(drawing.drawn) == [3]
    assert drawing.remarks[1:] == tuple(
        f"Figure {figure} is not drawn: none of its rows of table {table} is trained and evaluated with seed 0."
        for figure, table in {6: 1, 7: 2, 8: 3, 9: 5, 10: 5}.items()
    )


@pytest.mark.usefixtures("pages")
def test_rows_tested_on_other_cases_are_not_compared_by_size(make_reproduction: MakeRuns, data: Path, tmp_path: Path):
    make_reproduction("wce_hgd")
    drawing = draw_figures(
        make_reproduction("dwi_o", volumes={"case_2": 4.0}), data, tmp_path / "out", cases=["case_2"]
    )
    assert set(drawing.drawn) == {3, 9}
    assert any("wce_hgd, dwi_o, were not tested on the same cases" in remark for remark in drawing.remarks)


@pytest.mark.usefixtures("pages")
def test_a_case_that_was_trained_on_is_named(make_reproduction: MakeRuns, data: Path, tmp_path: Path):
    drawing = draw_figures(make_reproduction("fcn"), data, tmp_path / "out", cases=["case_1", "case_2"])
    assert "case_1 was trained on, or chose the best epoch, in 1 of 1 runs" in drawing.remarks[0]
    assert not any("case_2" in remark for remark in drawing.remarks)


def test_only_synthetic_patients_are_called_so(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path, pages: list[Figure]
):
    reproduction = make_reproduction("wce_hgd")
    draw_figures(reproduction, data, tmp_path / "out", cases=["case_2"])
    copy = Path(shutil.copytree(data, tmp_path / "phantom"))
    (series,) = (copy / "case_2").rglob("*4DPWI*.nii")
    image = nib.load(series, mmap=False)
    image.header["descrip"] = f"{PHANTOM}: marked"
    nib.save(image, series)
    draw_figures(reproduction, copy, tmp_path / "out", cases=["case_2"])
    texts = [" ".join(text.get_text() for text in page.texts) for page in pages]
    assert len(texts) == 6
    assert ["Synthetic" in text for text in texts] == [False] * 3 + [True] * 3
    assert all(INTENDED_USE in text for text in texts)


def test_a_picture_appears_whole_or_not_at_all(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(_: Figure, file: Path, **_options: object) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="No space"):
        draw_figures(make_reproduction("dice"), data, tmp_path / "out", cases=["case_2"])
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_written_where_there_is_no_study(data: Path, tmp_path: Path):
    with pytest.raises(InputError, match="is trained and evaluated"):
        draw_figures(tmp_path, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_that_a_system_cannot_see_is_refused_before_anything_is_drawn(
    make_reproduction: MakeRuns, incomplete_case: Callable[[str], Path], tmp_path: Path
):
    case = incomplete_case("MR_DWI")
    with pytest.raises(InputError, match="a system that was trained sees it"):
        draw_figures(make_reproduction("real_dwi"), case, tmp_path / "out", cases=["case_9"])
    assert not (tmp_path / "out").exists()


def test_networks_run_on_the_device_named(make_reproduction: MakeRuns, data: Path, tmp_path: Path):
    with pytest.raises(RuntimeError, match="no_such_device"):
        draw_figures(make_reproduction("fcn"), data, tmp_path / "out", cases=["case_2"], device="no_such_device")


def test_the_command_lists_files_and_rows(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    arguments = ["figures", str(make_reproduction("fcn")), str(data), "--out", str(out), "--cases", "case_3, case_2"]
    assert run([*arguments, "--json"]) == ExitCode.DONE
    printed = json.loads(capsys.readouterr().out)
    assert printed["figures"] == {
        "fig-3": {"file": str(out / "fig-3.png"), "rows": [], "cases": ["case_3", "case_2"]},
        "fig-8": {"file": str(out / "fig-8.png"), "rows": ["fcn"], "cases": ["case_3", "case_2"]},
    }
    assert all(Path(picture["file"]).is_file() for picture in printed["figures"].values())
    assert printed["intended_use"] == INTENDED_USE
    assert len(printed["remarks"]) == 4


@pytest.mark.usefixtures("pages")
def test_the_command_prints_a_table_and_says_what_is_missing(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert (
        run(["figures", str(make_reproduction("wce_hgd")), str(data), "--out", str(tmp_path), "--cases", "case_2"]) == 0
    )
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[2:] == [
        ["3", "-", "case_2", str(tmp_path / "fig-3.png")],
        ["9", "Fo", "case_2", str(tmp_path / "fig-9.png")],
        ["10", "Fo", "all", "tested", str(tmp_path / "fig-10.png")],
    ]
    assert said.err.count("is not drawn") == 3
    assert INTENDED_USE in said.err


def test_the_command_refuses_in_one_sentence(
    make_reproduction: MakeRuns, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    reproduction = str(make_reproduction("fcn"))
    assert run(["figures", reproduction, str(data), "--seed", "4", "--out", str(tmp_path / "out")]) == ExitCode.INPUT
    assert (
        run(["figures", reproduction, str(data), "--cases", "case_7", "--out", str(tmp_path / "out")]) == ExitCode.USAGE
    )
    assert capsys.readouterr().err.count("Error: ") == 2
    assert not (tmp_path / "out").exists()
