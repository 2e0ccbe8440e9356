"""MXNet Gluon with NumPy arrays and shapes; classic arrays are tested in tests/layers_by_framework."""

from layers.frameworks.base import Framework


class Gluon(Framework):
    def to_tensor(self, array):
        mx = self.import_framework()
        mx.npx.set_np()
        return mx.np.array(array, dtype=array.dtype)

    def to_numpy(self, tensor):
        return tensor.asnumpy()

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        mx = self.import_framework()
        mx.npx.set_np()
        mx.random.seed(seed)
        block = self.construct(kind, *arguments, **sizes)
        block.initialize()
        return block

    def parameters(self, built):
        found = built.collect_params()
        return {name.removeprefix(found.prefix): parameter.data().asnumpy() for name, parameter in found.items()}

    def parameter_gradients(self, built, tensor):
        mx = self.import_framework()
        with mx.autograd.record():
            total = built(tensor).sum()
        total.backward()
        found = built.collect_params()
        return {name.removeprefix(found.prefix): parameter.grad().asnumpy() for name, parameter in found.items()}


FRAMEWORK = Gluon("gluon", ("mxnet",))
