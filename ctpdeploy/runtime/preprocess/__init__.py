"""Preprocessing of a case to network input, and postprocessing of network output to a mask in the case's voxels."""
