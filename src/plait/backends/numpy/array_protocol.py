"""The conversion of objects that are no tensors, and that NumPy can read, for `plait.asnumpy`."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.errors import make_error


def array_by_protocol(value: Any) -> Any:
    """Return the NumPy array that the method ``__array__`` of a value makes; its elements must be numbers."""
    array = np.asarray(value)
    if array.dtype.kind not in "biufc" and "float" not in array.dtype.name:
        message = f"NumPy cannot read the elements of this {type(value).__name__}"
        raise make_error("PLT508", message, facts={"reason": f"its elements are {array.dtype.name}, not numbers"})
    return array.view(np.ndarray)
