"""Compiled kernels for NumPy's arrays: copies and reductions in one pass over memory, on several threads.

They need Numba, which compiles them in the background. `filling` returns a `Filler` for one copy or reduction; the
caller uses NumPy's functions until the kernel of the `Filler` is ready.
"""

from plait.backends.kernels.background import wait
from plait.backends.kernels.filler import Filler, filling, why_not
from plait.backends.kernels.threads import set_threads, threads

__all__ = ["Filler", "filling", "set_threads", "threads", "wait", "why_not"]
