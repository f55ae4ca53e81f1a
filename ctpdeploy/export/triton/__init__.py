"""A bundle served elsewhere: model repositories for NVIDIA's Triton Inference Server."""

from ctpdeploy.export.triton.repository import write_repository

__all__ = ["write_repository"]
