"""ndonnx, through the generic backend: an array API whose arrays are ONNX graphs."""

from backends.frameworks.base import Framework


class NdOnnx(Framework):
    views = "hidden"

    def make(self, array):
        return self.module().asarray(array)


FRAMEWORK = NdOnnx(
    "ndonnx",
    "ndonnx",
    lacks=dict.fromkeys(("bfloat16", "complex64", "complex128"), "ONNX through ndonnx has no such type"),
    warns={"'reduce_(sum|prod)' is not implemented for 'uint64'": "ONNX Runtime sums unsigned integers as float64"},
)
