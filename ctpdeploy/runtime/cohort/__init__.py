"""Many cases, from disk to disk."""
