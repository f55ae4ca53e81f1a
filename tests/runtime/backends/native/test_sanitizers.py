"""Kernels under sanitizers: no access out of bounds, nothing undefined, no race; and a planted fault is reported."""

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ctpdeploy.runtime.backends.native.build import SOURCES, compiler_of_this_machine

DRIVER = Path(__file__).with_name("driver.cpp")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the kernels are for x86-64"),
    pytest.mark.skipif(compiler_of_this_machine() is None, reason="there is no C++ compiler"),
]


@dataclass(frozen=True)
class Sanitizer:
    """A sanitizer, a fault planted in the driver, and its report."""

    option: str
    fault: str
    report: str


MEMORY = Sanitizer("address,undefined", fault="overflow", report="heap-buffer-overflow")
THREADS = Sanitizer("thread", fault="race", report="data race")


def compiled(sanitizer: Sanitizer, program: Path, *sources: Path) -> Path:
    options = ["-std=c++17", "-O1", "-g", "-mavx2", "-mfma", "-pthread", f"-I{SOURCES}"]
    options += [f"-fsanitize={sanitizer.option}", "-fno-sanitize-recover=all"]
    command = [str(compiler_of_this_machine()), *options, "-o", str(program), *map(str, sources)]
    subprocess.run(command, capture_output=True, check=True)
    return program


def run(program: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("sanitizer", [MEMORY, THREADS], ids=lambda sanitizer: sanitizer.option)
def test_the_kernels_are_clean_and_a_planted_fault_is_not(sanitizer: Sanitizer, tmp_path: Path):
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    try:
        assert run(compiled(sanitizer, tmp_path / "empty", empty)).returncode == 0
    except (subprocess.CalledProcessError, AssertionError) as error:
        pytest.skip(f"programs with -fsanitize={sanitizer.option} do not compile or run here: {error}")
    kernels = [file for file in sorted(SOURCES.glob("*.cpp")) if file.name != "processor.cpp"]
    program = compiled(sanitizer, tmp_path / "driver", DRIVER, *kernels)
    clean, faulty = run(program), run(program, sanitizer.fault)
    assert clean.returncode == 0, clean.stderr[-4000:]
    assert clean.stderr == ""
    assert faulty.returncode != 0
    assert sanitizer.report in faulty.stderr
    assert "ctp_add" in faulty.stderr
