"""Readers of cases, from files in the layouts of several data sets or from arrays."""
