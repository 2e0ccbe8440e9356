"""PyData Sparse, through the generic backend.

Arrays are stored as coordinates and values, so it is not tested whether two of them share memory.
"""

from plait.testing import Framework


class Sparse(Framework):
    def make(self, array):
        return self.module().COO.from_numpy(array, fill_value=array.dtype.type(0))


FRAMEWORK = Sparse(
    "sparse",
    "sparse",
    unsupported_dtypes=dict.fromkeys(("int4", "uint4"), "Numba, which compiles its functions, has no such type"),
)
