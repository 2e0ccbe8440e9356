"""Compiled kernels for NumPy's arrays: copies and reductions in one pass over memory, on all of the machine's cores.

They need Numba, and are never waited for: a `Filler` says when its kernel is ready, and NumPy does the work until then.
"""

from plait.backends.kernels.background import wait
from plait.backends.kernels.filler import Filler, filling, why_not
from plait.backends.kernels.threads import set_threads, threads

__all__ = ["Filler", "filling", "set_threads", "threads", "wait", "why_not"]
