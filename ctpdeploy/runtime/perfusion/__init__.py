"""Perfusion maps from a raw series, and the threshold rule on them."""
