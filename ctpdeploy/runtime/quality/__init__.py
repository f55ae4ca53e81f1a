"""Plausibility checks of a case: findings on contradictions in its maps and times."""
