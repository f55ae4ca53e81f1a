"""Scores of a mask and of an image against the truth."""
