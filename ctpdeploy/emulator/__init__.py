"""A GPU emulated on the processor: CUDA kernels compiled by g++, streams that advance at random paces."""
