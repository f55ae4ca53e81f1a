"""The merged network as operators, for the backends that translate it themselves.

Nothing is stored for them: the graph that the gate compared and the bundle holds is read when such a backend opens, and
the backend's own form of it is compared with the operators' definitions in NumPy before it runs on patients.

::

    pipeline.onnx -> read_graph -> Graph -> a backend's own form -> outputs
                                     └── evaluate (NumPy, float64) ──┴─> compare_with_reference
"""
