"""NumPy."""

import numpy as np

from plait.testing import Framework


class NumPy(Framework):
    def make(self, array):
        return array

    def shares_memory(self, first, second):
        return np.shares_memory(first, second)


FRAMEWORK = NumPy(
    "numpy", "numpy", copying_operations={"repeat": "as einops: NumPy's broadcast is read-only; view gives it"}
)
