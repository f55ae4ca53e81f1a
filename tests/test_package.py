"""What must hold of the package as a whole: light imports, a runtime without torch, honest front doors."""

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

HEAVY = ("torch", "onnx", "onnxscript", "onnxruntime", "matplotlib", "numpy", "scipy", "nibabel", "rich")


def python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def module_names(package: str) -> list[str]:
    """All modules of a package and of those in it; the library of kernels, which Python takes for one, is none."""
    room = importlib.import_module(package)
    found = pkgutil.walk_packages(room.__path__, f"{package}.")
    return [module.name for module in found if not module.name.endswith(".libkernels")]


def test_help_and_import_pull_in_nothing_heavy():
    loaded = python(
        "import sys, json, io, contextlib, ctpdeploy.cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert ctpdeploy.cli.run(['--help']) == 0\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not set(HEAVY) & set(json.loads(loaded))


def test_the_library_logs_only_where_it_is_asked_to():
    python(
        "import io, logging, sys, ctpdeploy.runtime\nsys.stderr = io.StringIO()\n"
        "logging.getLogger('ctpdeploy.runtime.cohort').warning('case 1 of 1: refused')\n"
        "sys.exit(bool(sys.stderr.getvalue()))"
    )


@pytest.mark.parametrize("room", ["ctpdeploy.phantom.case_folder", "ctpdeploy.runtime.perfusion.maps"])
def test_who_makes_patients_or_maps_of_arrays_imports_no_reader_and_no_networks(room: str):
    """They take half a second; a process that writes patients has made four of them by then."""
    loaded = python(f"import json, sys, {room}\nprint(json.dumps(sorted(sys.modules)))")
    assert not {"nibabel", "pydicom", "ctpdeploy.runtime.pipeline"} & set(json.loads(loaded))


@pytest.mark.parametrize("blocked", [("torch",), ("torch", "onnx", "onnxscript")])
def test_the_runtime_works_without_torch_and_onnx(blocked: tuple[str, ...]):
    modules = module_names("ctpdeploy.runtime")
    assert len(modules) >= 100, "the walk does not descend"
    python(
        f"import sys\nfor name in {blocked!r}:\n    sys.modules[name] = None\n"
        f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\n"
        "import ctpdeploy.runtime\nassert ctpdeploy.runtime.Pipeline"
    )


def test_training_without_torch_ends_in_the_pip_command():
    message = python(
        "import sys\nsys.modules['torch'] = None\n"
        "from ctpdeploy.errors import MissingPackageError\n"
        "try:\n    import ctpdeploy.train\n"
        "except MissingPackageError as error:\n    print(error)"
    )
    assert "install ctpdeploy with its extra train" in message


@pytest.mark.parametrize("package", ["runtime", "train", "export", "phantom", "benchmark", "service"])
def test_front_doors_are_what_they_import(package: str):
    module = importlib.import_module(f"ctpdeploy.{package}")
    ours = {n for n, v in vars(module).items() if getattr(v, "__module__", "").startswith("ctpdeploy.")}
    assert ours - {"require", "__getattr__"} <= set(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)


def test_a_name_that_a_front_door_does_not_have_is_no_attribute_of_it():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        importlib.import_module("ctpdeploy.runtime").nonsense  # noqa: B018
