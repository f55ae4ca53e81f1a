"""The paper's tables: the systems that stand in their rows, and the figures that were printed; plain data."""
