"""A case becomes network input, network output a mask in the case's voxels."""
