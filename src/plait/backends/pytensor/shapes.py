"""What PyTensor knows of a shape before a graph runs."""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt


def static(tensor: Any) -> tuple[int | None, ...]:
    """The shape of a variable or an array, ``None`` where it is not known before the graph runs."""
    return tensor.type.shape if isinstance(tensor, pt.TensorVariable) else tensor.shape
