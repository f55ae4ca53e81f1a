import inspect
import pickle
import re

import pytest

from ctpdeploy import errors
from ctpdeploy.errors import CtpdeployError, GateError, MissingPackageError, UnknownKeyError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, CtpdeployError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_the_tree_in_the_docstring_is_the_tree_in_the_code(cls: type[CtpdeployError]):
    line = next(line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{cls.__name__}\b", line))
    assert int(re.findall(r"\s(\d)\s", line)[0]) == cls.exit_code
    if cls is not CtpdeployError:
        depth = re.search(r"[A-Z]", line).start() // 4  # type: ignore[union-attr]
        assert depth == len([base for base in cls.__mro__ if issubclass(base, CtpdeployError)])


def test_an_unknown_key_far_from_all_lists_them():
    assert "alpha, beta" in str(UnknownKeyError("zzz", ["beta", "alpha"], "here"))


@pytest.mark.parametrize(
    "error", [MissingPackageError("torch", "train"), UnknownKeyError("alpa", ["alpha"], "[loss]"), GateError("no")]
)
def test_errors_survive_the_way_between_processes(error: CtpdeployError):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.exit_code) == (str(error), error.exit_code)
