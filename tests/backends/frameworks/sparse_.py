"""PyData Sparse, through the generic backend: coordinates and values, no memory to look at."""

from plait.testing import Framework


class Sparse(Framework):
    def make(self, array):
        return self.module().COO.from_numpy(array, fill_value=array.dtype.type(0))


FRAMEWORK = Sparse("sparse", "sparse")
