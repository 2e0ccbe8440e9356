"""Cubed: arrays of chunks that are computed out of core; several chunks in each dimension."""

from plait.testing import Framework


class Cubed(Framework):
    def make(self, array):
        import cubed.array_api as xp

        return xp.asarray(array, chunks=tuple(max(1, (size + 1) // 2) for size in array.shape))


FRAMEWORK = Cubed(
    "cubed",
    "cubed",
    unsupported_dtypes=dict.fromkeys(
        ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"), "not in the standard"
    ),
)
