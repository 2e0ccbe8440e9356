"""Compiled kernels for plait: copies, reductions, their gradients, and softmax of strided arrays on the CPU.

This package is the C library ``libplait_kernels`` and its interface for `ctypes`, which releases the interpreter's lock
during a call. It needs neither NumPy nor any framework: a caller passes addresses, shapes and strides. plait uses it if
it is installed; there is nothing to call by hand.

Source: ``packages/kernels`` of plait's repository; ``csrc/plait_kernels.h`` documents the interface.
"""

from __future__ import annotations

from plait_kernels._library import (
    ELEMENTS,
    INTERFACE_VERSION,
    MAX_RANK,
    OPERATIONS,
    STATUS_TEXTS,
    Array,
    GradientTask,
    Library,
    Task,
    load,
)

__version__ = "0.2.0"
__all__ = [
    "ELEMENTS",
    "INTERFACE_VERSION",
    "MAX_RANK",
    "OPERATIONS",
    "STATUS_TEXTS",
    "Array",
    "GradientTask",
    "Library",
    "Task",
    "load",
]
