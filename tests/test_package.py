"""What must hold of the package as a whole: light imports, a runtime without torch, honest front doors."""

import importlib
import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "onnx", "onnxscript", "onnxruntime", "matplotlib", "numpy", "scipy", "nibabel", "rich")


def python(code: str) -> str:
    """Run code in a fresh interpreter and return what it prints."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_help_and_import_pull_in_nothing_heavy():
    loaded = python(
        "import sys, json, io, contextlib, ctpdeploy.cli\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert ctpdeploy.cli.run(['--help']) == 0\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    assert not set(HEAVY) & set(json.loads(loaded))


@pytest.mark.parametrize("blocked", [("torch",), ("torch", "onnx", "onnxscript")])
def test_the_runtime_works_without_torch_and_onnx(blocked: tuple[str, ...]):
    python(
        f"import sys\nfor name in {blocked!r}:\n    sys.modules[name] = None\n"
        "import ctpdeploy.runtime, pkgutil, importlib\n"
        "for module in pkgutil.walk_packages(ctpdeploy.runtime.__path__, 'ctpdeploy.runtime.'):\n"
        "    importlib.import_module(module.name)\n"
        "assert ctpdeploy.runtime.Pipeline"
    )


def test_training_without_torch_ends_in_the_pip_command():
    message = python(
        "import sys\nsys.modules['torch'] = None\n"
        "from ctpdeploy.errors import MissingPackageError\n"
        "try:\n    import ctpdeploy.train\n"
        "except MissingPackageError as error:\n    print(error)"
    )
    assert "pip install 'ctpdeploy[train]'" in message


@pytest.mark.parametrize("package", ["runtime", "train", "export", "phantom"])
def test_front_doors_are_what_they_import(package: str):
    module = importlib.import_module(f"ctpdeploy.{package}")
    ours = {n for n, v in vars(module).items() if getattr(v, "__module__", "").startswith("ctpdeploy.")}
    assert ours - {"require"} <= set(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
