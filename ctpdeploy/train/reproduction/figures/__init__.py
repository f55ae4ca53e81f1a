"""Figures 3 and 6 to 10 of the source, from one's own data and the rows of the tables that were trained on it."""

from ctpdeploy.train.reproduction.figures.drawing import Drawing, Drawn, draw_figures

__all__ = ["Drawing", "Drawn", "draw_figures"]
