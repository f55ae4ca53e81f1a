"""Values that rooms hand on: a case, its slices, its prediction."""
