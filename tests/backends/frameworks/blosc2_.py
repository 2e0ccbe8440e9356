"""Blosc2: compressed arrays."""

from plait.testing import Framework


class Blosc2(Framework):
    def make(self, array):
        return self.module().asarray(array)


FRAMEWORK = Blosc2(
    "blosc2",
    "blosc2",
    unsupported_dtypes=dict.fromkeys(
        ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"), "Blosc2 has no such type"
    ),
)
