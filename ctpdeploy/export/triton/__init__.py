"""Model repositories for NVIDIA's Triton Inference Server, from a bundle."""

from ctpdeploy.export.triton.repository import write_repository

__all__ = ["write_repository"]
