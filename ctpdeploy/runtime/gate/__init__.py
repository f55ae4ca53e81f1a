"""Equality with the trained networks: limits, reference, measurement."""
