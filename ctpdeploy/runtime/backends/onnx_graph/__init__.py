"""The merged network as operators, for the backends that translate it themselves.

Nothing is stored for them: the graph that the gate compared and the bundle sealed is read when such a backend opens,
and what the backend made of it is compared with the operators' definitions in NumPy before it answers anything.

::

    pipeline.onnx -> read_graph -> Graph -> a backend's own form -> answers
                                     └── evaluate (NumPy, float64) ──┴─> check
"""
