"""SciPy's sparse arrays in the COO format; without dimensions they are NumPy's scalars."""

from plait.testing import Framework


class ScipySparse(Framework):
    def make(self, array):
        from scipy import sparse

        return sparse.coo_array(array) if array.ndim else array[()]

    def result_types(self, tensor):
        import numpy as np
        from scipy import sparse

        return (sparse.coo_array, np.ndarray, *np.ScalarType)


FRAMEWORK = ScipySparse(
    "scipy",
    "scipy",
    unsupported_dtypes=dict.fromkeys(
        ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"),
        "SciPy has no sparse arrays of that type",
    ),
)
