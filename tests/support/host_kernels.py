"""The kernels compiled for the CPU, as tests find them."""

SANITIZED = "CTPDEPLOY_SANITIZED_KERNELS"
"""Set by ``test_sanitizers``, which runs tests of the device again: the library to use."""
