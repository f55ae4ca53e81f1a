"""ONNX Runtime on an NVIDIA GPU, in our stream and our memory: the GPU backend that needs no engine built.

The package is not imported before an engine is opened.
"""
