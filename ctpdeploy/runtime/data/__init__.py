"""What travels: a case, its slices, its prediction."""
