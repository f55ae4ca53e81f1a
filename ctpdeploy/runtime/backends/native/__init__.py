"""Kernels of ctpdeploy's own for the CPU: the backend that a wheel for Linux brings, or a compiler makes.

The merged network runs operator by operator. Tensors of pixels are computed by C++ kernels with Winograd convolutions,
vectors of channels by NumPy in float64, and operators without a kernel by their definition in NumPy.
Where there are no kernels or there is no AVX2, the backend is unavailable, with the reason, and another one runs.

::

    Graph -> Network ─ operator ─► PendingTensor ─► Kernels ─► cpp/
                          └─ ChannelVector ─► NumPy
"""
