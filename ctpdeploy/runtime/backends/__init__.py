"""Inference engines, a module or a package for each backend."""
