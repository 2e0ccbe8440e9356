"""MXNet Gluon, with NumPy's arrays and shapes in effect; classic arrays are in tests/layers_by_framework."""

from layers.frameworks.base import Framework


class Gluon(Framework):
    def make(self, array):
        mx = self.module()
        mx.npx.set_np()
        return mx.np.array(array, dtype=array.dtype)

    def array(self, tensor):
        return tensor.asnumpy()

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        mx = self.module()
        mx.npx.set_np()
        mx.random.seed(seed)
        block = self.construct(kind, *arguments, **sizes)
        block.initialize()
        return block

    def parameters(self, built):
        found = built.collect_params()
        return {name.removeprefix(found.prefix): parameter.data().asnumpy() for name, parameter in found.items()}

    def gradients(self, built, tensor):
        mx = self.module()
        with mx.autograd.record():
            total = built(tensor).sum()
        total.backward()
        found = built.collect_params()
        return {name.removeprefix(found.prefix): parameter.grad().asnumpy() for name, parameter in found.items()}


FRAMEWORK = Gluon("gluon", ("mxnet",))
