"""PyTorch."""

from layers.frameworks.base import Framework


class Torch(Framework):
    def to_tensor(self, array):
        import torch

        return torch.tensor(array)

    def to_numpy(self, tensor):
        return tensor.detach().numpy()

    def build(self, /, kind, *arguments, example, seed=0, **sizes):
        import torch

        torch.manual_seed(seed)
        return self.construct(kind, *arguments, **sizes)

    def parameters(self, built):
        return {name: self.to_numpy(parameter) for name, parameter in built.named_parameters()}

    def parameter_gradients(self, built, tensor):
        built.zero_grad()
        built(tensor).sum().backward()
        return {name: parameter.grad.numpy() for name, parameter in built.named_parameters()}


FRAMEWORK = Torch("torch", ("torch",))
