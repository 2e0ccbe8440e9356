"""plait's conformance suite on tinytensors; a file like this is all that an author of a backend writes."""

import tinytensors

from plait.testing import BackendTests, Framework

UNSUPPORTED_DTYPES = ("bool", "uint8", "int32", "int64", "float16", "bfloat16", "float32", "complex64", "complex128")


class Tiny(Framework):
    """Lists of numbers with a shape."""

    def make(self, array):
        return tinytensors.Tensor(array.ravel().tolist(), array.shape)


class TestTiny(BackendTests):
    framework = Tiny(
        "tinytensors",
        "tinytensors",
        unsupported_dtypes=dict.fromkeys(UNSUPPORTED_DTYPES, "all numbers are 64-bit floats"),
    )
