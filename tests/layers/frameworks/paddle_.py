"""PaddlePaddle."""

from layers.frameworks.base import Framework


class Paddle(Framework):
    def make(self, array):
        return self.module().to_tensor(array)

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        self.module().seed(seed)
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        return {name: self.array(parameter) for name, parameter in built.named_parameters()}

    def gradients(self, built, tensor):
        built.clear_gradients()
        built(tensor).sum().backward()
        return {name: parameter.grad.numpy() for name, parameter in built.named_parameters()}


FRAMEWORK = Paddle("paddle", ("paddle",))
