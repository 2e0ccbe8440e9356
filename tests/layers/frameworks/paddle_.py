"""PaddlePaddle."""

from layers.frameworks.base import Framework


class Paddle(Framework):
    def to_tensor(self, array):
        return self.import_framework().to_tensor(array)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        self.import_framework().seed(seed)
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        return {name: self.to_numpy(parameter) for name, parameter in built.named_parameters()}

    def parameter_gradients(self, built, tensor):
        built.clear_gradients()
        built(tensor).sum().backward()
        return {name: parameter.grad.numpy() for name, parameter in built.named_parameters()}


FRAMEWORK = Paddle("paddle", ("paddle",))
