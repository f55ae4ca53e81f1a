"""Exceptions of others, as errors of ours."""

import pytest

from ctpdeploy.errors import BackendError, ExitCode, GuardError
from ctpdeploy.runtime.backends.faults import as_backend_error, phrase


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("bad\n   allocation."), "bad allocation"),
        (KeyError(), "no reason given"),
        (ValueError("\x1b[31mred\x07"), "\ufffd[31mred\ufffd"),
        (OSError("x" * 1000), "x" * 300),
    ],
)
def test_what_an_exception_says_is_a_line(error: Exception, words: str):
    assert phrase(error) == words
    with pytest.raises(BackendError) as caught, as_backend_error("The oven is cold", "light it"):
        raise error
    assert str(caught.value) == f"The oven is cold ({type(error).__name__}: {words}): light it."
    assert caught.value.__cause__ is error
    assert caught.value.exit_code == ExitCode.BACKEND


@pytest.mark.parametrize("error", [GuardError("numbers"), KeyboardInterrupt()])
def test_our_errors_and_interruptions_stay_as_they_are(error: BaseException):
    with pytest.raises(type(error)) as caught, as_backend_error("The oven is cold", "light it"):
        raise error
    assert caught.value is error
