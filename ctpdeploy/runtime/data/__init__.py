"""Data structures: a case, its slices, its prediction, and findings on them."""
