"""Metrics of a mask and of a pseudo-DWI against the truth."""
