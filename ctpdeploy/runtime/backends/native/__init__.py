"""Kernels of ctpdeploy's own for the CPU: the backend that is compiled where it is installed.

The merged network runs operator by operator. Images go through C++ kernels with Winograd convolutions, the few values
that belong to whole channels through NumPy in float64, and what has no kernel through its definition in NumPy.
Where there is no compiler or no AVX2, the backend says so and another one runs.

::

    Graph -> Network ─ operator ─► Image ─► Kernels ─► cpp/
                          └─ column ─► NumPy
"""
