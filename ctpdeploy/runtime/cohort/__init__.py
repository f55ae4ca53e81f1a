"""Batches of cases, from disk to disk: inference and evaluation."""
