"""ncnn on the CPU: the merged network, translated operator by operator into its layers when the backend opens.

Its convolutions are Winograd's F(4x4, 3x3), which makes 16 outputs of a 3x3 convolution from 36 products where the sum
takes 144, and whose rounding stays in the class of the sum's.
"""
