"""ndonnx, through the generic backend: an array API whose arrays are ONNX graphs."""

from plait.testing import Framework


class NdOnnx(Framework):
    def make(self, array):
        return self.module().asarray(array)


FRAMEWORK = NdOnnx(
    "ndonnx",
    "ndonnx",
    unsupported_dtypes=dict.fromkeys(("bfloat16", "complex64", "complex128"), "ONNX through ndonnx has no such type"),
    ignored_warnings={
        "'reduce_(sum|prod|min|max)' is not implemented for 'uint64'": "ONNX Runtime reduces them as float64"
    },
)
