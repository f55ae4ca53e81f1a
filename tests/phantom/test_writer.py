"""Data sets on disk: byte for byte the same for the same seed, whoever writes them."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ctpdeploy.phantom
from ctpdeploy.errors import InputError
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.phantom.writer import _environment

TINY = PhantomConfig(size=64, slices=2, frames=20)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    write_dataset(out, cases=2, seed=3, config=TINY)
    return out


def test_public_names() -> None:
    assert sorted(ctpdeploy.phantom.__all__) == ctpdeploy.phantom.__all__
    assert all(hasattr(ctpdeploy.phantom, name) for name in ctpdeploy.phantom.__all__)


def test_a_case_depends_on_its_number_alone(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path, cases=1, seed=3, config=TINY, first=2)
    assert digests(tmp_path / "case_2") == digests(dataset / "case_2")


def test_another_process_and_worker_processes_write_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from ctpdeploy.phantom import PhantomConfig, write_dataset\n"
        "if __name__ == '__main__':\n"
        "    config = PhantomConfig(size=64, slices=2, frames=20)\n"
        "    write_dataset(pathlib.Path(sys.argv[1]), cases=2, seed=3, config=config, workers=2)\n"
        "    assert not {'numpy', 'scipy', 'nibabel'} & set(sys.modules), 'start-up is half of a small data set'\n"
    )
    script = tmp_path / "write.py"
    script.write_text(code)
    subprocess.run([sys.executable, str(script), str(tmp_path / "out")], check=True, timeout=120)
    assert digests(tmp_path / "out") == digests(dataset)


def test_an_existing_case_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "case_2").mkdir()
    with pytest.raises(InputError, match=r"case_2 exists already"):
        write_dataset(tmp_path, cases=2, seed=3, config=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["case_2"]


def test_on_case_hears_of_every_folder_in_order(tmp_path: Path) -> None:
    heard: list[Path] = []
    written = write_dataset(tmp_path, cases=2, seed=3, config=TINY, on_case=heard.append)
    assert heard == written == [tmp_path / "case_1", tmp_path / "case_2"]


def test_variables_of_the_worker_processes_are_theirs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    before = dict(os.environ)
    with _environment(OMP_NUM_THREADS="1", MALLOC_TOP_PAD_="0"):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MALLOC_TOP_PAD_"]) == ("1", "0")
    assert dict(os.environ) == before
