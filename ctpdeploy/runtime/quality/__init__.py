"""Signs that a case is not what it seems."""
