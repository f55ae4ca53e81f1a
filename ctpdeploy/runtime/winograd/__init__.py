"""Convolutions by Winograd's algorithm on the CPU: the backend that runs on ncnn.

Winograd's F(4x4, 3x3) makes 16 outputs of a 3x3 convolution from 36 products where the sum takes 144, and its rounding
stays in the class of the sum's. Nothing is stored for it: the merged ONNX network that the gate compared and the bundle
sealed is translated when the backend opens, and compared with NumPy before it answers anything.

::

    pipeline.onnx -> read_graph -> Graph -> translate -> Layers -> Network
                                     └── evaluate (NumPy, float64) ──┴─> check
"""
