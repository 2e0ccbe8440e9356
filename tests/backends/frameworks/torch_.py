"""PyTorch."""

import numpy as np

from plait.testing import Framework


class Torch(Framework):
    def make(self, array):
        torch = self.module()
        if array.dtype.name == "bfloat16" or array.dtype.name.startswith("float8"):
            return torch.tensor(array.astype(np.float32)).to(getattr(torch, array.dtype.name))
        return torch.tensor(array)

    def shares_memory(self, first, second):
        return first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()

    def gradient(self, function, array):
        tensor = self.make(array).requires_grad_()
        function(tensor).sum().backward()
        return tensor.grad.numpy()


FRAMEWORK = Torch("torch", "torch")
