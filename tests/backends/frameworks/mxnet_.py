"""MXNet's ``mx.np`` arrays on the CPU, with NumPy's semantics of shapes (``npx.set_np``).

The classic arrays, ``mx.nd``, are tested in `tests/tracers/test_mxnet.py`.
"""

from plait.testing import Framework

UNSUPPORTED_DTYPE_REASON = "MXNet has no such type"


class MXNet(Framework):
    def module(self):
        mx = super().module()
        mx.npx.set_np()
        return mx

    def make(self, array):
        return self.module().np.array(array, dtype=array.dtype)

    def gradient(self, function, array):
        mx = self.module()
        tensor = self.make(array)
        tensor.attach_grad()
        with mx.autograd.record():
            total = function(tensor).sum()
        total.backward()
        return tensor.grad.asnumpy()


FRAMEWORK = MXNet(
    "mxnet",
    "mxnet",
    unsupported_dtypes={
        "bfloat16": UNSUPPORTED_DTYPE_REASON,
        "complex64": UNSUPPORTED_DTYPE_REASON,
        "complex128": UNSUPPORTED_DTYPE_REASON,
    },
)
