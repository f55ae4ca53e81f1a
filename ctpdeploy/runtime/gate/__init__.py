"""The gate: equality with the trained networks, by limits, reference and measurement."""
